//! [`Session`] giving out what was trained in the formats of other tools.

use super::Session;
use super::model::OpenModel;
use crate::error::Result;
use crate::export::gguf_lora::GgufLora;
use crate::export::merge::merged_weights;
use crate::export::merged::{self, Merged};
use crate::export::merged_gguf::{MergedGguf, Source};
use crate::export::modelfile::modelfile;
use crate::export::{
    ExportDtype, ExportFormat, ExportRequest, FileEntry, Manifest, OutputFile, Sink, card, mlx,
};
use crate::models::Model;
use crate::weights::SourceFormat;

/// A file about to be written.
enum Outgoing {
    Whole(OutputFile),
    GgufLora(String, Box<GgufLora>),
    MergedGguf(String, MergedGguf),
    Merged(Merged),
}

impl Session {
    /// The files that [`Session::export`] writes.
    ///
    /// # Errors
    /// As those of [`Session::export`].
    pub async fn export_manifest(&self, request: &ExportRequest) -> Result<Manifest> {
        let files = self.outgoing(request).await?;
        let files: Vec<FileEntry> = files.iter().map(Outgoing::entry).collect();
        let usage = usage(request.format, &files);
        Ok(Manifest { files, usage })
    }

    /// Writes the adapter, or the model with it merged in (without an adapter the base), in a format of another tool.
    ///
    /// # Errors
    /// No model yet, or no adapter where one is asked for; what the format cannot hold; a device that stops answering; whatever
    /// the sink reports.
    pub async fn export(&self, request: &ExportRequest, sink: &mut dyn Sink) -> Result<()> {
        for file in self.outgoing(request).await? {
            sink.begin(&file.entry().name)?;
            match file {
                Outgoing::Whole(file) => sink.write(&file.bytes)?,
                Outgoing::GgufLora(_, file) => file.write(sink).await?,
                Outgoing::MergedGguf(_, file) => file.write(sink).await?,
                Outgoing::Merged(file) => file.write(sink).await?,
            }
        }
        Ok(())
    }

    async fn outgoing(&self, request: &ExportRequest) -> Result<Vec<Outgoing>> {
        let (model, dtype, strength) = (self.model()?, request.dtype()?, request.strength);
        let stem = stem(&model.name);
        let whole = |files: Vec<OutputFile>| files.into_iter().map(Outgoing::Whole).collect();
        Ok(match request.format {
            ExportFormat::Peft => whole(self.adapter_files_at(strength).await?),
            ExportFormat::Mlx => whole(mlx::save(self.trainable_at(strength)?.as_ref(), &model.base).await?),
            ExportFormat::GgufLora => {
                let name = format!("{stem}-lora-{}.gguf", dtype.name());
                let file =
                    GgufLora::new(self.trainable_at(strength)?.as_ref(), &model.base, &model.name, dtype)?;
                let modelfile = model.modelfile(&model.base_file(), Some(&name));
                vec![Outgoing::GgufLora(name, Box::new(file)), Outgoing::Whole(modelfile)]
            }
            ExportFormat::MergedGguf => {
                let tuned = if self.has_adapter() { "-tuned" } else { "" };
                let name = format!("{stem}{tuned}-{}.gguf", dtype.name().to_uppercase());
                let file = self.merged_gguf(model, dtype, strength)?;
                let modelfile = model.modelfile(&name, None);
                vec![Outgoing::MergedGguf(name, file), Outgoing::Whole(modelfile)]
            }
            ExportFormat::Merged => {
                let tuned = self.tuned_or_base(strength)?;
                let pad_token_id = model.tokenizer.pad_token_id();
                let config = merged::config(&tuned, &model.checkpoint.config, pad_token_id, dtype);
                let mut files = whole(card::tokenizer_files(&model.checkpoint.tokenizer));
                files.insert(0, Outgoing::Whole(config));
                files.insert(0, Outgoing::Merged(Merged::new(merged_weights(&tuned), dtype)));
                files
            }
        })
    }

    fn merged_gguf(&self, model: &OpenModel, dtype: ExportDtype, strength: f64) -> Result<MergedGguf> {
        let tuned = self.tuned_or_base(strength)?;
        let source = Source {
            name: &model.name,
            checkpoint: &model.checkpoint,
            tokenizer: &model.tokenizer,
            end_ids: &model.end_ids,
        };
        MergedGguf::new(&tuned, merged_weights(&tuned), &source, dtype)
    }

    fn tuned_or_base(&self, strength: f64) -> Result<Model> {
        if self.has_adapter() { self.tuned_at(strength) } else { Ok(self.model()?.base.clone()) }
    }
}

impl OpenModel {
    fn modelfile(&self, from: &str, adapter: Option<&str>) -> OutputFile {
        let context = self.base.max_position_embeddings();
        let text = modelfile(from, adapter, &self.tokenizer, &self.end_ids, context);
        OutputFile { name: "Modelfile".into(), bytes: text.into_bytes() }
    }

    /// The GGUF file that an adapter belongs beside.
    fn base_file(&self) -> String {
        let own = self.checkpoint.tensors.first().filter(|_| self.checkpoint.format == SourceFormat::Gguf);
        let own = own.map(|tensor| self.checkpoint.file_of(tensor));
        let name = own.map(|name| name.rsplit(['/', '\\']).next().unwrap_or(name).to_string());
        name.unwrap_or_else(|| format!("{}-F16.gguf", stem(&self.name)))
    }
}

impl Outgoing {
    fn entry(&self) -> FileEntry {
        let (name, bytes) = match self {
            Outgoing::Whole(file) => (file.name.clone(), file.bytes.len() as u64),
            Outgoing::GgufLora(name, file) => (name.clone(), file.file_bytes()),
            Outgoing::MergedGguf(name, file) => (name.clone(), file.file_bytes()),
            Outgoing::Merged(file) => (merged::WEIGHTS.into(), file.file_bytes()),
        };
        FileEntry { name, bytes }
    }
}

fn usage(format: ExportFormat, files: &[FileEntry]) -> Vec<String> {
    let file = files.first().map_or("", |file| file.name.as_str());
    let ollama = "ollama create tuned -f Modelfile && ollama run tuned".to_string();
    match format {
        ExportFormat::GgufLora => vec![format!("llama-cli -m BASE.gguf --lora {file}"), ollama],
        ExportFormat::MergedGguf => {
            vec![format!("llama-cli -m {file}"), ollama, format!("lms import {file}")]
        }
        ExportFormat::Mlx => vec!["mlx_lm.generate --model BASE --adapter-path . --prompt \"Hello\"".into()],
        ExportFormat::Peft => vec!["PeftModel.from_pretrained(base, \".\")".into()],
        ExportFormat::Merged => vec!["AutoModelForCausalLM.from_pretrained(\".\")".into()],
    }
}

/// The last part of a model's name, as a file may be called.
fn stem(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or(name);
    let last = last.strip_suffix(".gguf").unwrap_or(last);
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' };
    let plain: String = last.chars().map(plain).collect();
    let words: Vec<&str> = plain.split('-').filter(|word| !word.is_empty()).collect();
    let stem = words.join("-");
    if stem.trim_matches('.').is_empty() { "model".into() } else { stem }
}
