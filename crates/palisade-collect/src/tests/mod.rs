mod failures;
mod fake;
mod features;
mod narrow;
mod plans;
mod shipped;
mod timing;
