# Events for `palisade watch`: rules, a queue with a dead-letter queue, and what the watch may do beside reading.
# Once a region: `aws` is the provider of the region, and `home_region` says where the queue is.
terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

data "aws_region" "here" {}
data "aws_partition" "here" {}
data "aws_caller_identity" "here" {}

locals {
  is_home  = data.aws_region.here.name == var.home_region
  home_bus = "arn:${data.aws_partition.here.partition}:events:${var.home_region}:${data.aws_caller_identity.here.account_id}:event-bus/default"
  patterns = {
    changes = {
      source      = [{ prefix = "aws." }]
      detail-type = ["AWS API Call via CloudTrail"]
      detail      = { readOnly = [false], errorCode = [{ exists = false }] }
    }
    services = {
      source      = ["aws.ec2", "aws.signin"]
      detail-type = ["EC2 Instance State-change Notification", "AWS Console Sign In via CloudTrail"]
    }
  }
}

resource "aws_cloudwatch_event_rule" "events" {
  for_each      = local.patterns
  name          = "${var.name}-${each.key}"
  description   = "For palisade watch"
  event_pattern = jsonencode(each.value)
  tags          = var.tags
}

resource "aws_cloudwatch_event_target" "events" {
  for_each  = local.patterns
  rule      = aws_cloudwatch_event_rule.events[each.key].name
  target_id = local.is_home ? "queue" : "home"
  arn       = local.is_home ? aws_sqs_queue.events[0].arn : local.home_bus
  role_arn  = local.is_home ? null : aws_iam_role.forward[0].arn
}

resource "aws_sqs_queue" "dead" {
  count                     = local.is_home ? 1 : 0
  name                      = "${var.name}-dead"
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = true
  tags                      = var.tags
}

resource "aws_sqs_queue" "events" {
  count                      = local.is_home ? 1 : 0
  name                       = var.name
  visibility_timeout_seconds = 120
  message_retention_seconds  = 1209600
  receive_wait_time_seconds  = 20
  sqs_managed_sse_enabled    = true
  tags                       = var.tags

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead[0].arn
    maxReceiveCount     = 20
  })
}

resource "aws_sqs_queue_policy" "events" {
  count     = local.is_home ? 1 : 0
  queue_url = aws_sqs_queue.events[0].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "Rules"
        Effect    = "Allow"
        Principal = { Service = "events.amazonaws.com" }
        Action    = "sqs:SendMessage"
        Resource  = aws_sqs_queue.events[0].arn
        Condition = { ArnEquals = { "aws:SourceArn" = [for rule in aws_cloudwatch_event_rule.events : rule.arn] } }
      },
      {
        Sid       = "OnlyTls"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sqs:*"
        Resource  = aws_sqs_queue.events[0].arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })
}

resource "aws_iam_role" "forward" {
  count       = local.is_home ? 0 : 1
  name_prefix = "${var.name}-"
  tags        = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "events.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.here.account_id } }
    }]
  })
}

resource "aws_iam_role_policy" "forward" {
  count = local.is_home ? 0 : 1
  role  = aws_iam_role.forward[0].id

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "events:PutEvents", Resource = local.home_bus }]
  })
}

resource "aws_iam_policy" "watch" {
  count       = local.is_home ? 1 : 0
  name        = var.name
  description = "What palisade watch does beside reading"
  tags        = var.tags

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid      = "Events"
        Effect   = "Allow"
        Action   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"]
        Resource = aws_sqs_queue.events[0].arn
      }],
      var.store_bucket == "" ? [] : [
        {
          Sid      = "Objects"
          Effect   = "Allow"
          Action   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
          Resource = "arn:${data.aws_partition.here.partition}:s3:::${var.store_bucket}/*"
        },
        {
          Sid      = "Bucket"
          Effect   = "Allow"
          Action   = ["s3:ListBucket"]
          Resource = "arn:${data.aws_partition.here.partition}:s3:::${var.store_bucket}"
        },
      ],
    )
  })
}
