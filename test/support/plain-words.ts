/** Words that send a reader back to the beginning of the sentence, each with what to write instead. */
const RIDDLES: Readonly<Record<string, string>> = {
  // Name the actor.
  'whoever|whomever|whosoever': 'name the actor: the replica, the caller, the delivery loop',
  nobody: 'name the actor, or write "no one" with what they do',
  'somebody|anybody|everybody': 'name the actor: a person, an agent, another process',
  'of (?:which|whom)': 'start a new sentence, or write "whose"',
  // The usual word exists.
  anew: 'again',
  '(?:is|are|was|were|be|been|being) told': 'reported',
  '(?:is|are|was|were) said|says? so': 'printed, stated',
  '(?:let|lets|letting) go': 'release',
  '(?:put|puts|putting) back': 'revert',
  '(?:take|takes|taken|taking|took) up(?! to)': 'resume',
  '(?:give|gives|given|giving) free': 'release',
  '(?:go|goes|going|went|gone) on': 'continue',
  '(?:is|are|was|were|came|comes) through': 'delivered, finished',
  '(?:make|makes|made) up for': 'catch up on, run later',
  '(?<!lags? )behind': 'after, because of; or name the place',
  '(?<!(?:dead[ -]|capital |lowercase |ASCII ))letters?': 'dead letter',
  'for ever': 'forever',
  'in vain': 'without success, failed',
  'in clear': 'unencrypted',
  'so (?:many|long)(?! as)': 'the number, with its unit',
  '(?<!-)(?:stand|stands|stood)(?!-)(?! for\\b)': 'is, remains, comes',
  'from (?:here|then|there|that day|which) on': 'since, after',
  'past the proxy': 'without the proxy',
  'thereof|therein|thereby|whereof|wherein|whereby|whereupon|hereby|whence|thence|lest|hitherto':
    'plain words',
  // One word for each thing (README, "Words").
  'phases?': 'stage',
  'divergences?|divergent|diverge[sd]?': 'finding; a lane "differs"',
  ramp: 'further increases',
  'in effect': 'active',
};

const PATTERNS = Object.entries(RIDDLES).map(([words, instead]) => ({
  pattern: new RegExp(`\\b(?:${words})\\b`, 'giu'),
  instead,
}));

/** Each riddle of a text, with what to write instead. */
export function riddlesIn(text: string): string[] {
  return PATTERNS.flatMap(({ pattern, instead }) =>
    [...text.matchAll(pattern)].map(([found]) => `"${found}" (write: ${instead})`),
  );
}
