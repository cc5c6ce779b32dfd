use serde::{Deserialize, Deserializer, Serialize};

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct DataRecipe {
    /// Put the prompt's tokens into the loss too. Default false.
    pub train_on_prompt: bool,
    /// Share of the training rows that are general text, mixed in so that less is forgotten. Default 0.
    pub general_fraction: f64,
    /// Changes to the rows before anything else, in this order; what they did is in the run's record. Default none.
    #[serde(deserialize_with = "Fix::list")]
    pub fix: Vec<Fix>,
    /// Only so many rows, from the beginning of the file, are used. Default null: all.
    pub max_rows: Option<usize>,
    /// Which columns are which, where detection is not enough.
    pub mapping: Option<ColumnMapping>,
}

/// A change to the rows, before they are trained on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub enum Fix {
    /// Leaves out rows that say exactly what an earlier one says.
    DropDuplicates,
    /// Leaves out rows that say nearly or exactly what an earlier one says.
    DropNearDuplicates,
    /// Leaves out rows that are far longer or shorter than the others.
    DropOutliers,
    /// Leaves out rows of the largest classes, down to three times the smallest.
    BalanceLabels,
    /// Leaves out rows in another language than most.
    DropOtherLanguages,
    /// Writes `[email]`, `[phone]`, `[key]` or `[card]` in place of what looks like one.
    Redact,
}

/// Which column of the file plays which part, for files whose columns have other names.
///
/// Name `text` (with `label` where texts have a class), or `prompt` (with `answer` where there is one), or `prompt` and `completion`, or `messages`,
/// or `instruction` and `output` (with `input` where there is one), each of these three with `label` where answers are rated, or `chosen` and `rejected`
/// (with `prompt` where there is one), or `anchor` and `positive` (with `negative` where there is one), or `sentence1`,
/// `sentence2` and `score`. `system` goes with conversations and answers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct ColumnMapping {
    pub text: Option<String>,
    pub prompt: Option<String>,
    pub completion: Option<String>,
    pub messages: Option<String>,
    pub instruction: Option<String>,
    pub input: Option<String>,
    pub output: Option<String>,
    pub chosen: Option<String>,
    pub rejected: Option<String>,
    pub label: Option<String>,
    pub system: Option<String>,
    pub anchor: Option<String>,
    pub positive: Option<String>,
    pub negative: Option<String>,
    pub sentence1: Option<String>,
    pub sentence2: Option<String>,
    pub score: Option<String>,
    pub answer: Option<String>,
}

impl Fix {
    /// As a recipe spells it.
    pub fn name(self) -> &'static str {
        match self {
            Fix::DropDuplicates => "drop_duplicates",
            Fix::DropNearDuplicates => "drop_near_duplicates",
            Fix::DropOutliers => "drop_outliers",
            Fix::BalanceLabels => "balance_labels",
            Fix::DropOtherLanguages => "drop_other_languages",
            Fix::Redact => "redact",
        }
    }

    /// Reads a list, or its names in one text with commas between them, as a command line has it.
    pub fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Fix>, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Given {
            List(Vec<serde_json::Value>),
            Text(String),
        }
        let names = match Given::deserialize(deserializer)? {
            Given::List(values) => values,
            Given::Text(text) => {
                let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
                names.map(serde_json::Value::from).collect()
            }
        };
        names.into_iter().map(|name| serde_json::from_value(name).map_err(serde::de::Error::custom)).collect()
    }
}
