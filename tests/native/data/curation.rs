//! Small odd files: what is found in them, and what the fixes leave.

use super::*;
use loralet::data::curate::{apply, findings};
use loralet::recipe::Fix;
use std::collections::HashSet;

fn rows(rows: &[(&str, &str)]) -> Dataset {
    let line = |(prompt, completion): &(&str, &str)| {
        serde_json::json!({ "prompt": prompt, "completion": completion }).to_string() + "\n"
    };
    read("rows.jsonl", &rows.iter().map(line).collect::<String>())
}

fn found(dataset: &Dataset, kind: FindingKind) -> Option<Finding> {
    findings(dataset, &HashSet::new()).into_iter().find(|finding| finding.kind == kind)
}

fn lines(finding: &Finding) -> Vec<usize> {
    finding.rows.iter().map(|row| row.line).collect()
}

fn fixed(dataset: &Dataset, fix: Fix) -> (Dataset, Change) {
    let (dataset, mut changes) = apply(dataset.clone(), &[fix], None).unwrap();
    (dataset, changes.remove(0))
}

const STORY: &str = "The old lighthouse keeper climbed the stairs every evening and lit the lamp before the ships came home \
                     from the far side of the bay";

#[test]
fn near_duplicates_are_rows_with_most_of_their_words_in_common() {
    let near = STORY.replace("every evening", "each evening");
    let loud = format!("{}!", STORY.to_uppercase());
    let data = rows(&[
        ("Tell me", STORY),
        ("Where is Mia?", "Mia is in the red house by the mill with her cat."),
        ("Tell me", &near),
        ("Where is Tom?", "Tom is at the farm behind the hill with his dog."),
        ("Tell me", STORY),
        ("Tell me", &loud),
    ]);
    let finding = found(&data, FindingKind::NearDuplicates).unwrap();
    // The exact copy on line 5 is counted as a duplicate, not again here.
    assert_eq!((finding.count, lines(&finding), finding.fix), (2, vec![3, 6], Some(Fix::DropNearDuplicates)));
    assert!(finding.rows[0].note.ends_with("like line 1"), "{:?}", finding.rows[0]);
    let (kept, change) = fixed(&data, Fix::DropNearDuplicates);
    assert_eq!(kept.rows.iter().map(|row| row.line).collect::<Vec<_>>(), [1, 2, 4]);
    assert_eq!(
        (change.lines, change.sentence),
        (vec![3, 5, 6], "drop_near_duplicates: 3 of 6 rows left out".into())
    );
    assert_eq!(fixed(&data, Fix::DropDuplicates).1.lines, [5]);
    assert!(found(&kept, FindingKind::NearDuplicates).is_none());
}

#[test]
fn a_held_out_row_with_a_copy_in_training_leaks() {
    let near = STORY.replace("every evening", "each evening");
    let data = rows(&[("Tell me", STORY), ("Who?", "Nobody at all was there."), ("Tell me", &near)]);
    let leak = |held_out: &[usize]| {
        let held_out = held_out.iter().copied().collect();
        findings(&data, &held_out).into_iter().find(|f| f.kind == FindingKind::Leakage).map(|f| lines(&f))
    };
    assert_eq!(leak(&[2]), Some(vec![3]));
    assert_eq!(leak(&[0]), Some(vec![1]));
    assert_eq!((leak(&[1]), leak(&[0, 2]), leak(&[])), (None, None, None));
}

#[test]
fn length_outliers_are_far_from_the_rest() {
    let mut given: Vec<(String, String)> =
        (0..30).map(|i| (format!("Question {i}?"), "An answer of a few words. ".repeat(1 + i % 3))).collect();
    given[7].1 = "A paste gone wrong. ".repeat(200);
    given[11] = ("?".into(), "!".into());
    let given: Vec<(&str, &str)> = given.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    let data = rows(&given);
    let finding = found(&data, FindingKind::LengthOutliers).unwrap();
    assert_eq!(lines(&finding), [8, 12]);
    assert!(finding.rows[0].note.contains("where most have"), "{:?}", finding.rows[0]);
    assert_eq!(fixed(&data, Fix::DropOutliers).0.rows.len(), 28);
    // Too few rows have no usual length; rows of one length have no outlier for a word more.
    assert!(found(&rows(&given[..12]), FindingKind::LengthOutliers).is_none());
}

#[test]
fn a_large_class_is_thinned_out_evenly() {
    let row = |i: usize| {
        let label = if i.is_multiple_of(10) { "rare" } else { "usual" };
        format!("Text number {i},{label}\n")
    };
    let data = read("classes.csv", &("text,label\n".to_string() + &(0..40).map(row).collect::<String>()));
    let finding = found(&data, FindingKind::LabelBalance).unwrap();
    assert_eq!(finding.count, 24);
    assert!(finding.sentence.starts_with("\"usual\" has 36 rows and \"rare\" 4"), "{}", finding.sentence);
    let (balanced, change) = fixed(&data, Fix::BalanceLabels);
    let counts = loralet::data::class_counts(&balanced);
    assert_eq!(counts.iter().map(|count| count.rows).collect::<Vec<_>>(), [4, 12]);
    assert_eq!(change.lines.len(), 24);
    assert!(balanced.rows.iter().any(|row| row.line < 10) && balanced.rows.iter().any(|row| row.line > 35));
    assert!(found(&balanced, FindingKind::LabelBalance).is_none());
}

#[test]
fn rows_in_another_language_are_named_by_it() {
    let data = rows(&[
        (
            "How is the weather?",
            "The sun is shining today and the children are playing in the garden until the evening.",
        ),
        (
            "Wie ist das Wetter?",
            "Heute scheint die Sonne und die Kinder spielen bis zum Abend im Garten hinter dem Haus.",
        ),
        (
            "What did they do?",
            "They went to the market in the morning and bought bread, apples and a little cheese.",
        ),
        ("Ja?", "Nein."),
        (
            "Who was there?",
            "My brother and his friends were there, and they stayed until the last train had left.",
        ),
    ]);
    let finding = found(&data, FindingKind::Language).unwrap();
    assert_eq!((lines(&finding), finding.rows[0].note.as_str()), (vec![2], "German"));
    assert!(finding.sentence.ends_with("German (1); most rows are in English"), "{}", finding.sentence);
    assert_eq!(fixed(&data, Fix::DropOtherLanguages).0.rows.len(), 4);
}

/// A key that no scanner of this repository takes for one.
fn key() -> String {
    ["sk", "-", "aB3dE5gH7jK9mN1pQ3sT5v"].concat()
}

#[test]
fn personal_data_is_flagged_and_redacted() {
    let secret = format!("My key is {}.", key());
    let data = rows(&[
        ("Mail me", "Write to ann.lee+x@mail.example.org, please."),
        ("Call me", "Ring +49 171 2345678 or (555) 123-4567 tonight."),
        ("Key", &secret),
        ("Card", "It is 4111 1111 1111 1111, valid for a year."),
        // Numbers that are none of these: a date, a count, an order number that fails the check digit, code.
        ("Date", "On 2024-01-31 at 10:30 we sold 1,234,567 of 4111 1111 1111 1112 at $12.99."),
        ("Code", "Use x@y and def f(a): return a * 100000 - 1."),
    ]);
    let finding = found(&data, FindingKind::PersonalData).unwrap();
    assert_eq!(lines(&finding), [1, 2, 3, 4], "{finding:?}");
    assert_eq!(
        finding.sentence,
        "4 rows hold what may be personal or secret: 1 e-mail address, 1 access key, 1 card number, 2 phone numbers"
    );
    let (redacted, change) = fixed(&data, Fix::Redact);
    let answers: Vec<String> = redacted
        .rows
        .iter()
        .map(|row| match &row.content {
            RowContent::Pair { completion, .. } => completion.clone(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        answers[..4],
        [
            "Write to [email], please.",
            "Ring [phone] or [phone] tonight.",
            "My key is [key].",
            "It is [card], valid for a year."
        ]
    );
    assert_eq!(change.lines, [1, 2, 3, 4]);
    assert!(found(&redacted, FindingKind::PersonalData).is_none());
    // The log says which rows, not what was in them.
    assert!(!serde_json::to_string(&change).unwrap().contains("ann.lee"));
}

#[test]
fn every_shape_is_looked_through() {
    let mail = "a.person@mail.example.org";
    let shapes = [
        ("text.jsonl", format!("{{\"text\": \"Ask {mail}.\"}}\n")),
        (
            "chat.jsonl",
            format!(
                "{{\"messages\": [{{\"role\": \"user\", \"content\": \"{mail}\"}}, {{\"role\": \"assistant\", \"content\": \"Yes.\"}}]}}\n"
            ),
        ),
        ("pairs.jsonl", format!("{{\"prompt\": \"Who?\", \"chosen\": \"{mail}\", \"rejected\": \"Me.\"}}\n")),
        ("rated.jsonl", format!("{{\"prompt\": \"Who?\", \"completion\": \"{mail}\", \"label\": true}}\n")),
        ("classes.csv", format!("text,label\n{mail},a\nother,b\n")),
    ];
    for (name, file) in shapes {
        let data = read(name, &file);
        assert_eq!(found(&data, FindingKind::PersonalData).unwrap().count, 1, "{name}");
        assert!(found(&fixed(&data, Fix::Redact).0, FindingKind::PersonalData).is_none(), "{name}");
    }
}

#[test]
fn fixes_follow_one_another_and_leave_something() {
    let data = rows(&[("a", "One mail@example.org"), ("a", "One mail@example.org"), ("b", "Two words here")]);
    let (kept, changes) = apply(data.clone(), &[Fix::DropDuplicates, Fix::Redact], Some(1)).unwrap();
    assert_eq!(changes.iter().map(|change| change.lines.clone()).collect::<Vec<_>>(), [vec![2], vec![1]]);
    assert_eq!(kept.rows.len(), 1);
    assert!(kept.notes.iter().any(|note| note.contains("the first 1 of 2 rows")), "{:?}", kept.notes);
}

#[test]
fn odd_files_find_nothing_and_break_nothing() {
    let long = "x".repeat(100_000);
    for file in
        ["{\"text\": \"\"}\n{\"text\": \"a\"}\n".to_string(), format!("{{\"text\": \"{}é\"}}\n", long)]
    {
        let data = read("odd.jsonl", &file);
        assert_eq!(findings(&data, &HashSet::new()), [], "{}", &file[..20]);
    }
}

#[test]
fn the_samples_hold_no_surprise() {
    let folder = format!("{}/www/public/samples", env!("CARGO_MANIFEST_DIR"));
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if name == "index.json" {
            continue;
        }
        let data = read_bytes(name, &std::fs::read(&path).unwrap()).unwrap();
        for finding in findings(&data, &HashSet::new()) {
            let expected = [FindingKind::NearDuplicates];
            assert!(expected.contains(&finding.kind), "{name}: {finding:?}");
        }
        seen += 1;
    }
    assert!(seen >= 6);
}
