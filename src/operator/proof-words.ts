const WORDS: Readonly<Record<string, string>> = {
  racy: 'lane changed meanwhile',
  repeat: 'repeats within 15 minutes',
  shadow_timeout: 'timed out',
  shadow_error: 'not answered',
  unknown_lane: 'owners without writes',
};

/** Why comparisons are not proof, most frequent first: `180 lane changed meanwhile`. */
export function noProofWords(by: Readonly<Record<string, number>>): string[] {
  return Object.entries(by)
    .toSorted(([, a], [, b]) => b - a)
    .map(([reason, times]) => `${times} ${WORDS[reason] ?? reason.replaceAll('_', ' ')}`);
}
