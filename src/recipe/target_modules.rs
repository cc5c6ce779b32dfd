use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Which linear layers get an adapter.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export, type = "\"all-linear\" | Array<string>"))]
pub enum TargetModules {
    /// PEFT's `"all-linear"`: every one of the blocks.
    #[default]
    AllLinear,
    /// Those whose paths end in one of these names, in whole parts.
    Named(Vec<String>),
}

/// PEFT's word.
const ALL_LINEAR: &str = "all-linear";

/// What recipes listed before there was a word for all.
const ALL_IN_OLD_RECIPES: [&str; 7] =
    ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];

impl TargetModules {
    /// The names; none where all are meant.
    pub fn names(&self) -> &[String] {
        match self {
            TargetModules::AllLinear => &[],
            TargetModules::Named(names) => names,
        }
    }
}

impl Serialize for TargetModules {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            TargetModules::AllLinear => serializer.serialize_str(ALL_LINEAR),
            TargetModules::Named(names) => names.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for TargetModules {
    /// A text that is not PEFT's word lists names with commas between them.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "\"all-linear\" or a list of names")]
        enum Given {
            Text(String),
            Names(Vec<String>),
        }

        Ok(match Given::deserialize(deserializer)? {
            Given::Text(text) if text.eq_ignore_ascii_case(ALL_LINEAR) => TargetModules::AllLinear,
            Given::Text(text) => {
                TargetModules::Named(text.split(',').map(|name| name.trim().to_string()).collect())
            }
            Given::Names(names) if names == ALL_IN_OLD_RECIPES => TargetModules::AllLinear,
            Given::Names(names) => TargetModules::Named(names),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn a_word_a_list_or_names_with_commas() {
        let read = |value: Value| serde_json::from_value::<TargetModules>(value);
        let named =
            |names: &[&str]| TargetModules::Named(names.iter().map(|name| name.to_string()).collect());
        assert_eq!(read(json!("All-Linear")).unwrap(), TargetModules::AllLinear);
        assert_eq!(read(json!(["query", "key"])).unwrap(), named(&["query", "key"]));
        assert_eq!(read(json!("q_proj, v_proj")).unwrap(), named(&["q_proj", "v_proj"]));
        assert_eq!(read(json!(ALL_IN_OLD_RECIPES)).unwrap(), TargetModules::AllLinear);
        assert!(read(json!(3)).unwrap_err().to_string().contains("all-linear"));
        assert_eq!(json!(TargetModules::AllLinear), json!("all-linear"));
        assert_eq!(json!(named(&["query"])), json!(["query"]));
    }
}
