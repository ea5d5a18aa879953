mod failures;
mod fake;
mod features;
mod plans;
mod shipped;
mod timing;
