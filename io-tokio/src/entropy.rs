//! The operating system's source of randomness: keys, nonces, and the seed of a node's chooser.

/// The source gave nothing.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the operating system gives no random numbers: {0}; nothing secret can be made without them")]
pub struct EntropyError(getrandom::Error);

/// `N` bytes that nobody can guess.
///
/// # Errors
/// [`EntropyError`] where the operating system has none.
pub fn draw<const N: usize>() -> Result<[u8; N], EntropyError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(EntropyError)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_draws_differ() {
        assert_ne!(draw::<32>().unwrap(), draw::<32>().unwrap());
    }
}
