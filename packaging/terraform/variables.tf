variable "trusted_principal" {
  description = "ARN that may assume the role"
  type        = string
}

variable "external_id" {
  description = "Secret that the caller must present"
  type        = string
  sensitive   = true

  validation {
    condition     = length(var.external_id) >= 8
    error_message = "An external id has at least 8 characters."
  }
}

variable "role_name" {
  description = "Name of the role, and of its policies with a number behind it"
  type        = string
  default     = "palisade-read"
}

variable "tags" {
  description = "Tags of the role and its policies"
  type        = map(string)
  default     = {}
}
