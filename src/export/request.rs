//! What can be asked for: a format, and what its weights are stored in.

use crate::error::{Error, Result};
use crate::weights::StorageType;
use serde::{Deserialize, Serialize};

/// A format of another tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub enum ExportFormat {
    /// PEFT's adapter folder.
    Peft,
    /// The adapter as one GGUF file, for llama.cpp, Ollama and LM Studio.
    GgufLora,
    /// The adapter as mlx-lm's folder.
    Mlx,
    /// The whole model as a Hugging Face folder.
    Merged,
    /// The whole model as one GGUF file.
    MergedGguf,
}

/// What weights are stored in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
#[allow(non_camel_case_types)]
pub enum ExportDtype {
    F32,
    F16,
    Bf16,
    Q8_0,
    Q4_0,
    /// llama.cpp's mixture of Q4_K and Q6_K.
    #[serde(rename = "q4_k_m")]
    Q4_K_M,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct ExportRequest {
    pub format: ExportFormat,
    /// By itself f32 for PEFT and MLX, f16 for a GGUF adapter and a Hugging Face folder, Q8_0 for a GGUF model.
    pub dtype: Option<ExportDtype>,
    /// The adapter at so many times its strength, from 0 to 2. Default 1.
    #[serde(default = "full_strength")]
    #[cfg_attr(test, ts(optional, as = "Option<f64>"))]
    pub strength: f64,
}

fn full_strength() -> f64 {
    1.0
}

impl ExportRequest {
    /// The storage that is asked for, or the format's own.
    ///
    /// # Errors
    /// One that the format does not have.
    pub fn dtype(&self) -> Result<ExportDtype> {
        use ExportDtype::*;
        let (default, possible): (_, &[ExportDtype]) = match self.format {
            ExportFormat::Peft | ExportFormat::Mlx => (F32, &[F32]),
            ExportFormat::GgufLora => (F16, &[F32, F16]),
            ExportFormat::Merged => (F16, &[F32, F16, Bf16]),
            ExportFormat::MergedGguf => (Q8_0, &[F32, F16, Bf16, Q8_0, Q4_0, Q4_K_M]),
        };
        let dtype = self.dtype.unwrap_or(default);
        match possible.contains(&dtype) {
            true => Ok(dtype),
            false => Err(Error::Unsupported {
                file: self.format.name().into(),
                what: format!("the storage {}", dtype.name()),
                supported: format!(
                    "it has {}",
                    possible.iter().map(|dtype| dtype.name()).collect::<Vec<_>>().join(", ")
                ),
            }),
        }
    }
}

impl ExportFormat {
    pub fn name(self) -> &'static str {
        match self {
            ExportFormat::Peft => "peft",
            ExportFormat::GgufLora => "gguf-lora",
            ExportFormat::Mlx => "mlx",
            ExportFormat::Merged => "merged",
            ExportFormat::MergedGguf => "merged-gguf",
        }
    }
}

impl ExportDtype {
    pub fn name(self) -> &'static str {
        match self {
            ExportDtype::F32 => "f32",
            ExportDtype::F16 => "f16",
            ExportDtype::Bf16 => "bf16",
            ExportDtype::Q8_0 => "q8_0",
            ExportDtype::Q4_0 => "q4_0",
            ExportDtype::Q4_K_M => "q4_k_m",
        }
    }

    pub(super) fn storage(self) -> StorageType {
        match self {
            ExportDtype::F32 => StorageType::F32,
            ExportDtype::F16 => StorageType::F16,
            ExportDtype::Bf16 => StorageType::BF16,
            ExportDtype::Q8_0 => StorageType::Q8_0,
            ExportDtype::Q4_0 => StorageType::Q4_0,
            ExportDtype::Q4_K_M => StorageType::Q4_K,
        }
    }
}
