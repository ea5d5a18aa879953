//! `call SERVICE OPERATION REGION [PARAMETERS]`: makes a call, prints its pages as JSON lines.
use futures::StreamExt;
use palisade_aws::{Client, ClientConfig};
use palisade_model::Models;
use std::sync::Arc;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [service, operation, region, rest @ ..] = arguments.as_slice() else {
        return Err("usage: call SERVICE OPERATION REGION [PARAMETERS]".into());
    };
    let params = serde_json::from_str(rest.first().map_or("{}", |p| p))?;
    let models = Arc::new(Models::embedded());
    let config = ClientConfig {
        region: Some(region.clone()),
        ..ClientConfig::default()
    };
    let client = Client::connect(config, Arc::clone(&models)).await?;
    let model = models.get(service)?;
    let region = region.parse()?;
    let mut pages = Box::pin(client.pages(service, operation, &region, params));
    while let Some(page) = pages.next().await {
        #[expect(clippy::print_stdout, reason = "an example prints")]
        {
            println!("{}", page?.to_json(&model));
        }
    }
    Ok(())
}
