output "queue_url" {
  description = "For `palisade watch --queue`"
  value       = one(aws_sqs_queue.events[*].url)
}

output "dead_letter_queue_url" {
  description = "What could not be understood or stored"
  value       = one(aws_sqs_queue.dead[*].url)
}

output "watch_policy_arn" {
  description = "Attach it, and the read policies, to whoever runs the watch"
  value       = one(aws_iam_policy.watch[*].arn)
}
