//! What `tokenizer_config.json` and the model's files call by name.

use crate::weights::checkpoint::TokenizerFiles;

/// Names of the templates that `tokenizer_config.json` lists, or the model's own files do.
pub(super) fn template_names(files: &TokenizerFiles) -> Vec<String> {
    let named = files.additional["chat_template"].as_array();
    named.into_iter().flatten().filter_map(|template| Some(template["name"].as_str()?.to_string())).collect()
}

/// `bos_token` and its kin by name, as chat templates see them.
pub(super) fn special_tokens(files: &TokenizerFiles) -> Vec<(String, String)> {
    const OTHERS: [&str; 3] = ["sep_token", "cls_token", "mask_token"];
    let main = [
        ("bos_token", &files.bos_token),
        ("eos_token", &files.eos_token),
        ("unk_token", &files.unk_token),
        ("pad_token", &files.pad_token),
    ];
    let configured = |name: &str| {
        // Either the token itself or an object that holds it with its flags.
        let value = files.additional.get(name)?;
        value.as_str().or_else(|| value.get("content")?.as_str()).map(str::to_string)
    };
    main.into_iter()
        .map(|(name, token)| (name, token.clone().or_else(|| configured(name))))
        .chain(OTHERS.into_iter().map(|name| (name, configured(name))))
        .filter_map(|(name, token)| Some((name.to_string(), token?)))
        .collect()
}
