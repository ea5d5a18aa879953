# The read-only role in every account of organisational units, accounts that join later included: a stack set with the
# template of packaging/cloudformation. For the management account or a delegated administrator. The management account
# itself is not reached by stack sets: use the module one folder above for it.
terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

variable "organizational_units" {
  description = "Ids of the units whose accounts get the role; the root's id (r-…) is all of them"
  type        = list(string)
}

variable "trusted_principal" {
  description = "ARN that may assume the roles"
  type        = string
}

variable "external_id" {
  description = "Secret that the caller must present"
  type        = string
  sensitive   = true
}

variable "role_name" {
  description = "Name of the roles"
  type        = string
  default     = "palisade-read"
}

variable "call_as" {
  description = "SELF in the management account, DELEGATED_ADMIN elsewhere"
  type        = string
  default     = "SELF"
}

data "aws_region" "current" {}

resource "aws_cloudformation_stack_set" "read" {
  name             = var.role_name
  description      = "A read-only role for Palisade"
  permission_model = "SERVICE_MANAGED"
  call_as          = var.call_as
  capabilities     = ["CAPABILITY_NAMED_IAM"]
  template_body    = file("${path.module}/../../cloudformation/palisade-read.json")

  parameters = {
    RoleName         = var.role_name
    TrustedPrincipal = var.trusted_principal
    ExternalId       = var.external_id
  }

  auto_deployment {
    enabled                          = true
    retain_stacks_on_account_removal = false
  }

  lifecycle {
    # set by the service for service-managed stack sets
    ignore_changes = [administration_role_arn]
  }
}

resource "aws_cloudformation_stack_set_instance" "read" {
  stack_set_name = aws_cloudformation_stack_set.read.name
  call_as        = var.call_as
  # a role is in no region: one stack an account is enough
  region = data.aws_region.current.name

  deployment_targets {
    organizational_unit_ids = var.organizational_units
  }
}
