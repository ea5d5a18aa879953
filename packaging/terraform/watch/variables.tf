variable "home_region" {
  description = "Region of the queue; the others send their events there"
  type        = string
}

variable "name" {
  description = "Name of the queue, the rules and the policy"
  type        = string
  default     = "palisade-watch"
}

variable "store_bucket" {
  description = "Bucket of the snapshots; empty: a folder on the watcher's disk"
  type        = string
  default     = ""
}

variable "tags" {
  description = "Tags of everything that can have some"
  type        = map(string)
  default     = {}
}
