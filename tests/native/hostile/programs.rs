//! A chat template is a program: each of these would not end, or would fill the memory.

use super::*;
use loralet::data::{ChatTemplate, Message};

fn refused(source: &str) -> String {
    let conversation = [Message::new("user", "Hello"), Message::new("assistant", "Yes.")];
    let rendered = in_time(source, || {
        ChatTemplate::new(source, Vec::new()).and_then(|template| template.render(&conversation, true))
    });
    match rendered {
        Ok(text) => panic!("{source}: {} bytes were written", text.len()),
        Err(error) => error.to_string(),
    }
}

#[test]
fn what_does_not_end_is_stopped() {
    for source in [
        "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}{% endfor %}{% endfor %}{% endfor %}x",
        "{% macro f(n) %}{{ f(n) }}{% endmacro %}{{ f(1) }}",
        "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(40) }}",
        "{% for a in range(99999) %}{% set b = range(99999)|list|sort|reverse|list %}{% endfor %}x",
        "{% set l = range(99999)|list %}{% for a in range(99999) %}{% if -1 in l %}y{% endif %}{% endfor %}x",
        "{% for a in [[]] recursive %}{{ loop([[]]) }}{% endfor %}",
    ] {
        let said = refused(source);
        assert!(
            ["does not come to an end", "takes too much", "recursion limit"]
                .iter()
                .any(|cause| said.contains(cause)),
            "{source}: {said}"
        );
    }
}

#[test]
fn what_grows_is_stopped() {
    let doubled = "{% set ns = namespace(s='aaaaaaaaaaaaaaaa') %}{% for i in range(60) %}{% set ns.s = GROW %}{% endfor %}{{ ns.s }}";
    let grow = |with: &str| doubled.replace("GROW", with);
    for source in [
        "{% for a in range(99999) %}{% for b in range(99) %}AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA{% endfor %}{% endfor %}".into(),
        "{% set x %}{% for a in range(99999) %}{% for b in range(9999) %}AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\
         {% endfor %}{% endfor %}{% endset %}{{ x }}"
            .into(),
        grow("ns.s ~ ns.s"),
        grow("ns.s + ns.s"),
        grow("ns.s * 9"),
        grow("(ns.s ~ 'b') * 9"),
        grow("ns.s|replace('a', 'aaaaaaaa')"),
        grow("ns.s.replace('a', 'aaaaaaaa')"),
        grow("ns.s|replace('', ns.s)"),
        grow("[ns.s, ns.s]|join(ns.s)"),
        grow("ns.s.join([ns.s, ns.s])"),
        grow("[ns.s, ns.s]|tojson"),
        grow("'%s%s'|format(ns.s, ns.s)"),
        grow("'{0}{0}'.format(ns.s)"),
        grow("[ns.s, ns.s]"),
        grow("{'a': ns.s, 'b': ns.s}"),
        "{% set ns = namespace(l=[1]) %}{% for i in range(60) %}{% set ns.l = ns.l + ns.l %}{% endfor %}{{ ns.l }}".into(),
        "{% set ns = namespace(l=[1]) %}{% for i in range(99999) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l }}".into(),
        "{% set ns = namespace(l=[1]) %}{% for i in range(99999) %}{% set ns.l = ns.l|batch(1) %}{% endfor %}{{ ns.l }}".into(),
        "{% set ns = namespace(l={}) %}{% for i in range(99999) %}{% set ns.l = dict(a=ns.l) %}{% endfor %}{{ ns.l }}".into(),
        "{% set ns = namespace() %}{% set ns.l = ns %}{{ ns }}".into(),
        "{% set ns = namespace() %}{% set ns.l = ns %}{{ ns|tojson }}".into(),
        "{% set ns = namespace() %}{% set ns.l = [ns] %}{{ ns == ns.l }}".into(),
        "{{ 'a' * 1000000000 }}".into(),
        "{{ 'a' * 99999999 }}".into(),
        format!("{{{{ {} }}}}", vec!["'a' * 99999999"; 60].join(" ~ ")),
        "{{ [0] * 1000000000 }}".into(),
        "{{ 'a\nb'|indent(1000000000) }}".into(),
        "{{ 'a\nb'|indent(width=1000000000) }}".into(),
        "{{ {'a': 1}|tojson(indent=1000000000) }}".into(),
        "{{ {'a': 1}|tojson(indent='                                                  ' * 1000000) }}".into(),
        "{{ [1]|batch(1000000000000, 0) }}".into(),
        "{{ [1]|batch(9223372036854775807, 0) }}".into(),
        "{{ [1]|slice(1000000000000) }}".into(),
        "{{ '%1000000000d'|format(1) }}".into(),
        "{{ '%*d'|format(1000000000, 1) }}".into(),
        "{{ '{:>1000000000}'.format(1) }}".into(),
        "{{ '{:{}}'.format(1, 1000000000) }}".into(),
        format!("{{{{ {} }}}}", vec!["messages"; 3000].join(" ~ ")),
        format!("{{{{ messages{} }}}}", "|list".repeat(3000)),
        format!("{{{{ messages{} }}}}", "[0]".repeat(3000)),
        format!("{{{{ {}1{} }}}}", "[".repeat(3000), "]".repeat(3000)),
        format!("{{# {} #}}x", "a".repeat(2 << 20)),
    ] {
        refused(&source);
    }
}

#[test]
fn ranges_end() {
    assert!(refused("{{ range(1000000000) }}").contains("range"));
    for source in [
        "{{ range(-9223372036854775808, 9223372036854775807)|list|length }}",
        "{{ range(0, 9223372036854775807, 9223372036854775806)|list|length }}x",
        "{{ 9223372036854775807 * 9223372036854775807 * 9223372036854775807 }}",
        "{{ 2 ** 100000 }}",
        "{{ 1 // 0 }}",
        "{{ 1 % 0 }}",
        "{{ -170141183460469231731687303715884105728 // -1 }}",
        "{{ 1.5|round(2147483647) }}",
        "{{ messages[::0] }}",
        "{{ messages[9223372036854775807:-9223372036854775808:-1] }}x",
        "{{ 'aé'[1:2] }}",
        "{{ strftime_now('%' * 1000) }}",
    ] {
        in_time(source, || readers::template(source.as_bytes()));
    }
}

#[test]
fn products_and_lists_are_what_they_are() {
    let render = |source: &str| {
        let template = ChatTemplate::new(source, vec![("bos_token".into(), "<s>".into())]).unwrap();
        template.render(&[Message::new("user", "Hi"), Message::new("assistant", "Yes.")], true).unwrap()
    };
    for (source, expected) in [
        ("{{ '=' * 5 }}", "====="),
        ("{{ 2 * (1 + 2) * 3 }}", "18"),
        ("{{ ((1 + 2) * (3 + 4)) }}", "21"),
        ("{{ (messages[0].content ~ '!') * 2 }}", "Hi!Hi!"),
        ("{{ 3 * messages|length }}", "6"),
        ("{{ -2 * 3 }}", "-6"),
        ("{% if not(2 * 3 == 6) %}a{% else %}b{% endif %}", "b"),
        ("{{ range(2 * 2)|list }}", "[0, 1, 2, 3]"),
        ("{{ (messages|map(attribute='role')|list + ['x']) | join(', ') }}", "user, assistant, x"),
        ("{{ {'a': messages[0]['content']}.items()|list }}", "[[\"a\", \"Hi\"]]"),
        (
            "{{ missing is defined }} {{ messages[0].missing is defined }} {{ messages is defined }}",
            "False False True",
        ),
        ("{{ missing.x if missing is defined else 'no' }}", "no"),
        (
            "{% set ns = namespace(n=1) %}{% for m in messages if m.role != 'x' %}{% set ns.n = ns.n * 2 %}{% endfor %}{{ ns.n }}",
            "4",
        ),
        (
            "{% macro twice(a, b=bos_token ~ '!') %}{{ a ~ b }}{{ caller() }}{% endmacro %}{% call twice('x') %}y{% endcall %}",
            "x<s>!y",
        ),
        ("{% filter upper %}a{{ bos_token }}{% endfilter %}", "A<S>"),
        ("{{ 'a' if messages[0].content in ['Hi', bos_token] else 'b' }}", "a"),
        ("{{ messages[0].content.split('i')[0] ~ messages[-1]['content'][:2] }}", "HYe"),
        ("{{ 1 is divisibleby 1 }} {{ messages[0].content is in ['Hi'] }}", "True True"),
    ] {
        assert_eq!(render(source), expected, "{source}");
    }
}
