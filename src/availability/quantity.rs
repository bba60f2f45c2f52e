//! Kubernetes' quantities of processor time and memory as whole numbers.
//! <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/>

use serde_json::Value;

/// What containers ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resource {
    /// In thousandths of a core.
    Cpu,
    /// In bytes.
    Memory,
}

impl Resource {
    pub const ALL: [Resource; 2] = [Resource::Cpu, Resource::Memory];

    pub fn id(self) -> &'static str {
        match self {
            Resource::Cpu => "cpu",
            Resource::Memory => "memory",
        }
    }
}

/// The amount, rounded up; nothing where it is no quantity.
pub(super) fn read(value: &Value, resource: Resource) -> Option<u64> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '+').unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let factor = match suffix {
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "" => 1.0,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "Ki" => 1024.0,
        "Mi" => 1_048_576.0,
        "Gi" => 1_073_741_824.0,
        "Ti" => 1_099_511_627_776.0,
        "Pi" => 1_125_899_906_842_624.0,
        // Exponents: `1e3`.
        _ => return read_exponent(&text, resource),
    };
    whole(number.parse::<f64>().ok()? * factor, resource)
}

fn read_exponent(text: &str, resource: Resource) -> Option<u64> {
    let is_number = text.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-'));
    if is_number { whole(text.parse::<f64>().ok()?, resource) } else { None }
}

fn whole(amount: f64, resource: Resource) -> Option<u64> {
    let unit = if resource == Resource::Cpu { amount * 1000.0 } else { amount };
    // Products of decimal fractions come out a little off.
    let rounded = (unit - 1e-6).ceil();
    // In range, so the conversion keeps the number.
    (0.0..1e18).contains(&rounded).then_some(rounded as u64)
}

/// As people write it; memory is rounded up to whole mebibytes.
pub fn shown(amount: u64, resource: Resource) -> String {
    const MEBI: u64 = 1 << 20;
    match resource {
        Resource::Cpu if amount.is_multiple_of(1000) => (amount / 1000).to_string(),
        Resource::Cpu => format!("{amount}m"),
        Resource::Memory => match amount.div_ceil(MEBI) {
            mebi if mebi > 0 && mebi.is_multiple_of(1024) => format!("{}Gi", mebi / 1024),
            mebi => format!("{mebi}Mi"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, resource: Resource, expected: Option<u64>, back: &str) {
        let amount = read(&Value::String(text.to_owned()), resource);
        assert_eq!(amount, expected, "{text}");
        assert_eq!(amount.map_or(String::new(), |amount| shown(amount, resource)), back, "{text}");
    }

    #[test]
    fn cores_are_thousandths() {
        check("100m", Resource::Cpu, Some(100), "100m");
        check("0.1", Resource::Cpu, Some(100), "100m");
        check("2", Resource::Cpu, Some(2000), "2");
        check("1e1", Resource::Cpu, Some(10_000), "10");
        check("1500u", Resource::Cpu, Some(2), "2m");
    }

    #[test]
    fn memory_is_bytes() {
        check("64Mi", Resource::Memory, Some(64 << 20), "64Mi");
        check("1Gi", Resource::Memory, Some(1 << 30), "1Gi");
        check("128M", Resource::Memory, Some(128_000_000), "123Mi");
        check("100", Resource::Memory, Some(100), "1Mi");
    }

    #[test]
    fn what_is_no_quantity_is_none() {
        for text in ["", "much", "${CPU}", "-1", "1Zi"] {
            check(text, Resource::Memory, None, "");
        }
        assert_eq!(read(&Value::Bool(true), Resource::Cpu), None);
        assert_eq!(read(&serde_json::json!(1.5), Resource::Cpu), Some(1500));
    }
}
