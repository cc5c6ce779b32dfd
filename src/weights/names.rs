//! Tensor names and row orders of GGUF beside those of Hugging Face.

/// How a tensor's rows are ordered in the file, compared with Hugging Face.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowOrder {
    Same,
    /// The two halves of every head's rows alternate: the order in which llama.cpp keeps
    /// the query and key projections of some architectures, because its rotary
    /// embedding of these turns neighbouring channels and Hugging Face's turns channel `i` with `i + head_dim/2`.
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

/// How GGUF names the tensors of an architecture.
#[derive(Debug)]
pub struct Names {
    /// Hugging Face's `model_type`.
    pub model_type: &'static str,
    /// transformers' class.
    pub class: &'static str,
    /// Tensors outside the blocks: (GGUF, Hugging Face).
    outer: &'static [(&'static str, &'static str)],
    /// Modules of a block.
    block: &'static [Module],
}

/// A module of a block.
#[derive(Debug)]
struct Module {
    gguf: &'static str,
    huggingface: &'static str,
    rows: Rows,
}

/// Which rows alternate in the file, as in [`RowOrder::Interleaved`]: those of each attention head, or of each key/value head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rows {
    Same,
    OfHeads,
    OfKeyValueHeads,
}

const fn module(gguf: &'static str, huggingface: &'static str) -> Module {
    Module { gguf, huggingface, rows: Rows::Same }
}

const fn turned(gguf: &'static str, huggingface: &'static str, rows: Rows) -> Module {
    Module { gguf, huggingface, rows }
}

const OUTER: &[(&str, &str)] =
    &[("token_embd", "model.embed_tokens"), ("output_norm", "model.norm"), ("output", "lm_head")];

static LLAMA: Names = Names {
    model_type: "llama",
    class: "LlamaForCausalLM",
    outer: OUTER,
    block: &[
        module("attn_norm", "input_layernorm"),
        turned("attn_q", "self_attn.q_proj", Rows::OfHeads),
        turned("attn_k", "self_attn.k_proj", Rows::OfKeyValueHeads),
        module("attn_v", "self_attn.v_proj"),
        module("attn_output", "self_attn.o_proj"),
        module("ffn_norm", "post_attention_layernorm"),
        module("ffn_gate", "mlp.gate_proj"),
        module("ffn_up", "mlp.up_proj"),
        module("ffn_down", "mlp.down_proj"),
    ],
};

static QWEN2: Names = Names {
    model_type: "qwen2",
    class: "Qwen2ForCausalLM",
    outer: OUTER,
    block: &[
        module("attn_norm", "input_layernorm"),
        module("attn_q", "self_attn.q_proj"),
        module("attn_k", "self_attn.k_proj"),
        module("attn_v", "self_attn.v_proj"),
        module("attn_output", "self_attn.o_proj"),
        module("ffn_norm", "post_attention_layernorm"),
        module("ffn_gate", "mlp.gate_proj"),
        module("ffn_up", "mlp.up_proj"),
        module("ffn_down", "mlp.down_proj"),
    ],
};

static QWEN3: Names = Names {
    model_type: "qwen3",
    class: "Qwen3ForCausalLM",
    outer: OUTER,
    block: &[
        module("attn_norm", "input_layernorm"),
        module("attn_q", "self_attn.q_proj"),
        module("attn_q_norm", "self_attn.q_norm"),
        module("attn_k", "self_attn.k_proj"),
        module("attn_k_norm", "self_attn.k_norm"),
        module("attn_v", "self_attn.v_proj"),
        module("attn_output", "self_attn.o_proj"),
        module("ffn_norm", "post_attention_layernorm"),
        module("ffn_gate", "mlp.gate_proj"),
        module("ffn_up", "mlp.up_proj"),
        module("ffn_down", "mlp.down_proj"),
    ],
};

/// The architectures there are in GGUF, for who opens another.
pub const SUPPORTED: &str =
    "supported are \"llama\" (SmolLM, SmolLM2, Llama 3, TinyLlama), \"qwen2\" (Qwen2, Qwen2.5) and \"qwen3\"";

/// The names of an architecture, as `general.architecture` names it: a new one is a line here. `None` for one that is not known.
pub fn names_of(architecture: &str) -> Option<&'static Names> {
    match architecture {
        "llama" => Some(&LLAMA),
        "qwen2" => Some(&QWEN2),
        "qwen3" => Some(&QWEN3),
        _ => None,
    }
}

impl Names {
    /// `blk.3.attn_q.weight` → `model.layers.3.self_attn.q_proj.weight`; None for a name that the architecture lacks.
    pub fn huggingface_name(&self, gguf: &str) -> Option<String> {
        let (module, kind) = gguf.rsplit_once('.').filter(|(_, kind)| is_kind(kind))?;
        if let Some((_, outer)) = self.outer.iter().find(|(name, _)| *name == module) {
            return Some(format!("{outer}.{kind}"));
        }
        let (layer, module) = self.module(module)?;
        Some(format!("model.layers.{layer}.{}.{kind}", module.huggingface))
    }

    /// `model.layers.3.self_attn.q_proj.weight` → `blk.3.attn_q.weight`; the inverse of [`Names::huggingface_name`].
    pub fn gguf_name(&self, huggingface: &str) -> Option<String> {
        let (module, kind) = huggingface.rsplit_once('.').filter(|(_, kind)| is_kind(kind))?;
        if let Some((outer, _)) = self.outer.iter().find(|(_, name)| *name == module) {
            return Some(format!("{outer}.{kind}"));
        }
        let (layer, module) = module.strip_prefix("model.layers.")?.split_once('.')?;
        let layer: usize = layer.parse().ok()?;
        let module = self.block.iter().find(|known| known.huggingface == module)?;
        Some(format!("blk.{layer}.{}.{kind}", module.gguf))
    }

    /// The tensors that lie one after the other in one of the file, which llama.cpp can write for any architecture: each with its
    /// GGUF name and how many rows it has. `None` for a tensor that is one.
    pub fn fused(&self, gguf: &str, [queries, keys]: [usize; 2]) -> Option<[(String, usize); 3]> {
        const PARTS: [&str; 3] = ["attn_q", "attn_k", "attn_v"];
        let (module, kind) = gguf.rsplit_once('.')?;
        let block = module.strip_suffix(".attn_qkv").filter(|_| self.module(module).is_none())?;
        let rows = [queries, keys, keys];
        Some([0, 1, 2].map(|i| (format!("{block}.{}.{kind}", PARTS[i]), rows[i])))
    }

    /// How the rows of a tensor are ordered in the file, by its GGUF name.
    pub fn row_order(&self, gguf: &str, heads: usize, kv_heads: usize) -> RowOrder {
        let module = gguf.rsplit_once('.').and_then(|(module, _)| self.module(module));
        match module.map(|(_, module)| module.rows) {
            Some(Rows::OfHeads) => RowOrder::Interleaved { heads },
            Some(Rows::OfKeyValueHeads) => RowOrder::Interleaved { heads: kv_heads },
            Some(Rows::Same) | None => RowOrder::Same,
        }
    }

    /// The layer and the module of `blk.3.attn_q`.
    fn module(&self, path: &str) -> Option<(usize, &Module)> {
        let (layer, module) = path.strip_prefix("blk.")?.split_once('.')?;
        Some((layer.parse().ok()?, self.block.iter().find(|known| known.gguf == module)?))
    }
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

fn is_kind(kind: &str) -> bool {
    matches!(kind, "weight" | "bias")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways() {
        let names = names_of("llama").unwrap();
        for gguf in ["token_embd.weight", "output.weight", "blk.12.attn_q.bias", "blk.0.ffn_down.weight"] {
            assert_eq!(names.gguf_name(&names.huggingface_name(gguf).unwrap()).unwrap(), gguf);
        }
        let of = |gguf| names.huggingface_name(gguf);
        assert_eq!(of("blk.1.attn_output.weight").unwrap(), "model.layers.1.self_attn.o_proj.weight");
        assert_eq!(of("blk.x.attn_q.weight"), None);
        assert_eq!(of("blk.0.ffn_gate_exps.weight"), None);
        assert_eq!(names.row_order("blk.0.attn_k.weight", 4, 2), RowOrder::Interleaved { heads: 2 });
        assert_eq!(names.row_order("blk.0.attn_v.weight", 4, 2), RowOrder::Same);
        let parts = names.fused("blk.3.attn_qkv.bias", [32, 16]).unwrap();
        assert_eq!(parts[1], ("blk.3.attn_k.bias".to_string(), 16));
        assert_eq!(names.fused("blk.3.attn_q.bias", [32, 16]), None);
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
