//! Reading a tensor back from the device.

use crate::error::{Error, Result, last_cause};
use burn::tensor::{Int, Tensor};

/// The values of a tensor, read without blocking (a browser cannot wait for a GPU).
///
/// # Errors
/// A device that stops answering.
pub async fn read<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>> {
    let data = tensor.into_data_async().await.map_err(stopped)?;
    data.convert::<f32>().try_into_vec::<f32>().map_err(stopped)
}

/// The ids that [`super::sample::sample`] chose, read the same way.
///
/// # Errors
/// A device that stops answering.
pub async fn read_ids(ids: Tensor<1, Int>) -> Result<Vec<u32>> {
    let data = ids.into_data_async().await.map_err(stopped)?;
    let ids = data.try_into_vec::<i32>().map_err(stopped)?;
    Ok(ids.into_iter().map(|id| id as u32).collect())
}

fn stopped(error: impl std::fmt::Display) -> Error {
    Error::DeviceLost { reason: last_cause(&error.to_string()).to_string() }
}
