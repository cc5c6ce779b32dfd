//! Tensor names and row orders of GGUF beside those of Hugging Face.

/// How a tensor's rows are ordered in the file, compared with Hugging Face.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowOrder {
    Same,
    /// The two halves of every head's rows alternate: the order in which llama.cpp keeps
    /// the query and key projections of the llama architecture, because its rotary
    /// embedding turns neighbouring channels and Hugging Face's turns channel `i` with `i + head_dim/2`.
    Interleaved {
        heads: usize,
    },
}

impl RowOrder {
    /// Where the file's row `row` belongs in Hugging Face's order.
    pub fn huggingface_row(row: usize, head_dim: usize) -> usize {
        let (head, within) = (row / head_dim, row % head_dim);
        head * head_dim + (within % 2) * (head_dim / 2) + within / 2
    }

    /// Where Hugging Face's row `row` belongs in llama.cpp's order.
    pub fn gguf_row(row: usize, head_dim: usize) -> usize {
        let (head, within) = (row / head_dim, row % head_dim);
        head * head_dim + (within % (head_dim / 2)) * 2 + within / (head_dim / 2)
    }
}

/// Modules of a llama block: (GGUF, Hugging Face).
const BLOCK_MODULES: [(&str, &str); 9] = [
    ("attn_norm", "input_layernorm"),
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_output", "self_attn.o_proj"),
    ("ffn_norm", "post_attention_layernorm"),
    ("ffn_gate", "mlp.gate_proj"),
    ("ffn_up", "mlp.up_proj"),
    ("ffn_down", "mlp.down_proj"),
];

/// Tensors outside the blocks: (GGUF, Hugging Face).
const OUTER_MODULES: [(&str, &str); 3] =
    [("token_embd", "model.embed_tokens"), ("output_norm", "model.norm"), ("output", "lm_head")];

/// `blk.3.attn_q.weight` → `model.layers.3.self_attn.q_proj.weight`; None for a name that the llama architecture lacks.
pub fn huggingface_name(gguf: &str) -> Option<String> {
    let (module, kind) = gguf.rsplit_once('.').filter(|(_, kind)| is_kind(kind))?;
    if let Some((_, outer)) = OUTER_MODULES.iter().find(|(name, _)| *name == module) {
        return Some(format!("{outer}.{kind}"));
    }
    let (layer, module) = module.strip_prefix("blk.")?.split_once('.')?;
    let layer: usize = layer.parse().ok()?;
    let (_, module) = BLOCK_MODULES.iter().find(|(name, _)| *name == module)?;
    Some(format!("model.layers.{layer}.{module}.{kind}"))
}

/// `model.layers.3.self_attn.q_proj.weight` → `blk.3.attn_q.weight`; the inverse of [`huggingface_name`].
pub fn gguf_name(huggingface: &str) -> Option<String> {
    let (module, kind) = huggingface.rsplit_once('.').filter(|(_, kind)| is_kind(kind))?;
    if let Some((outer, _)) = OUTER_MODULES.iter().find(|(_, name)| *name == module) {
        return Some(format!("{outer}.{kind}"));
    }
    let (layer, module) = module.strip_prefix("model.layers.")?.split_once('.')?;
    let layer: usize = layer.parse().ok()?;
    let (module, _) = BLOCK_MODULES.iter().find(|(_, name)| *name == module)?;
    Some(format!("blk.{layer}.{module}.{kind}"))
}

/// A name without what wrappers leave in it: torch.compile's `_orig_mod.`, `module.` of data-parallel training, and what FSDP and
/// activation checkpointing put between.
pub fn unwrapped(name: &str) -> String {
    const BETWEEN: [&str; 3] = ["_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"];
    let mut parts: Vec<&str> = name.split('.').filter(|part| !BETWEEN.contains(part)).collect();
    while parts.len() > 2 && parts[0] == "module" {
        parts.remove(0);
    }
    parts.join(".")
}

/// The block number in a Hugging Face name, if it belongs to a block.
pub fn layer_of(huggingface: &str) -> Option<usize> {
    huggingface.strip_prefix("model.layers.")?.split('.').next()?.parse().ok()
}

fn is_kind(kind: &str) -> bool {
    matches!(kind, "weight" | "bias")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways() {
        for gguf in ["token_embd.weight", "output.weight", "blk.12.attn_q.bias", "blk.0.ffn_down.weight"] {
            assert_eq!(gguf_name(&huggingface_name(gguf).unwrap()).unwrap(), gguf);
        }
        assert_eq!(
            huggingface_name("blk.1.attn_output.weight").unwrap(),
            "model.layers.1.self_attn.o_proj.weight"
        );
        assert_eq!(huggingface_name("blk.x.attn_q.weight"), None);
        assert_eq!(huggingface_name("blk.0.ffn_gate_exps.weight"), None);
    }

    #[test]
    fn row_orders_are_inverses() {
        for row in 0..48 {
            assert_eq!(RowOrder::huggingface_row(RowOrder::gguf_row(row, 8), 8), row);
        }
        assert_eq!(
            (0..8).map(|row| RowOrder::huggingface_row(row, 8)).collect::<Vec<_>>(),
            [0, 4, 1, 5, 2, 6, 3, 7]
        );
    }
}
