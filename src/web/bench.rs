//! `bench.html`'s part of the module: [`crate::bench`] with devices chosen as everywhere else.

use super::device::{choose, take_gpu_error};
use super::{error, to_js};
use crate::bench::Workload;
use crate::bench::ops::{Ops, Pass};
use crate::bench::steps::Steps;
use crate::error::{Error, Result};
use burn::tensor::Device;
use std::cell::RefCell;
use wasm_bindgen::prelude::*;

/// Training steps on one fixed batch.
#[wasm_bindgen]
pub struct Bench(Steps);

/// Single operations of such a step.
#[wasm_bindgen]
pub struct OpBench(Ops);

thread_local! {
    /// A page sets its GPU up once.
    static DEVICE: RefCell<Option<(String, Device)>> = const { RefCell::new(None) };
}

#[wasm_bindgen]
impl Bench {
    /// # Errors
    /// A workload that lacks a setting, a file that lacks a tensor, a device that cannot be had.
    pub async fn create(
        #[wasm_bindgen(unchecked_param_type = "DeviceChoice")] device: String,
        #[wasm_bindgen(unchecked_param_type = "Workload")] workload: JsValue,
        weights: Vec<u8>,
    ) -> Result<Bench, JsValue> {
        let workload = read_workload(workload)?;
        let device = chosen(device).await.map_err(error::to_js)?;
        Steps::new(&workload, &weights, &device).map(Bench).map_err(error::to_js)
    }

    /// The loss before this step's update, averaged over all shifted positions.
    ///
    /// # Errors
    /// A device that stops answering.
    pub async fn step(&mut self) -> Result<f64, JsValue> {
        let loss = self.0.step().await.map_err(error::to_js)?;
        no_gpu_error()?;
        Ok(loss)
    }
}

#[wasm_bindgen]
impl OpBench {
    /// # Errors
    /// A workload that lacks a setting or makes no model, a device that cannot be had.
    pub async fn create(
        #[wasm_bindgen(unchecked_param_type = "DeviceChoice")] device: String,
        #[wasm_bindgen(unchecked_param_type = "Workload")] workload: JsValue,
    ) -> Result<OpBench, JsValue> {
        let workload = read_workload(workload)?;
        let device = chosen(device).await.map_err(error::to_js)?;
        Ops::new(&workload, &device).map(OpBench).map_err(error::to_js)
    }

    /// Times each operation once; see [`Ops::turn`].
    ///
    /// # Errors
    /// A device that stops answering.
    #[wasm_bindgen(unchecked_return_type = "OpTime[]")]
    pub async fn turn(&mut self) -> Result<JsValue, JsValue> {
        let times = self.0.turn().await.map_err(error::to_js)?;
        no_gpu_error()?;
        to_js(&times)
    }

    /// Seconds that an operation takes so many times in a row, without or with its backward pass.
    ///
    /// # Errors
    /// No such operation; a device that stops answering.
    pub async fn run(&mut self, index: usize, with_backward: bool, times: usize) -> Result<f64, JsValue> {
        let pass = if with_backward { Pass::Both } else { Pass::Forward };
        let seconds = self.0.run(index, pass, times).await.map_err(error::to_js)?;
        no_gpu_error()?;
        Ok(seconds)
    }
}

fn read_workload(workload: JsValue) -> Result<Workload, JsValue> {
    serde_wasm_bindgen::from_value(workload)
        .map_err(|failure| error::to_js(Error::InvalidRecipe { reason: format!("workload: {failure}") }))
}

fn no_gpu_error() -> Result<(), JsValue> {
    match take_gpu_error() {
        Some(reason) => {
            Err(error::to_js(Error::DeviceLost { reason: format!("it reported an error: {reason}") }))
        }
        None => Ok(()),
    }
}

async fn chosen(name: String) -> Result<Device> {
    let before = DEVICE.with(|slot| slot.borrow().clone());
    if let Some((_, device)) = before.filter(|(before, _)| *before == name) {
        return Ok(device);
    }
    let (device, _, _) = choose(&name).await?;
    DEVICE.with(|slot| slot.replace(Some((name, device.clone()))));
    Ok(device)
}
