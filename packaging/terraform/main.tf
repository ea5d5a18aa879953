# The read-only role that Palisade assumes. policies.json is generated: `palisade permissions --format policies`.
terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

locals {
  policies = jsondecode(file("${path.module}/policies.json"))
}

resource "aws_iam_policy" "read" {
  count       = length(local.policies)
  name        = "${var.role_name}-${count.index + 1}"
  description = "What Palisade reads"
  policy      = jsonencode(local.policies[count.index])
  tags        = var.tags
}

resource "aws_iam_role" "read" {
  name                 = var.role_name
  description          = "Read by Palisade"
  max_session_duration = 3600
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { AWS = var.trusted_principal }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "sts:ExternalId" = var.external_id } }
    }]
  })
}

resource "aws_iam_role_policy_attachment" "read" {
  count      = length(local.policies)
  role       = aws_iam_role.read.name
  policy_arn = aws_iam_policy.read[count.index].arn
}
