output "role_arn" {
  description = "For `palisade scan --role-arn`"
  value       = aws_iam_role.read.arn
}
