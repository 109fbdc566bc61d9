/** What both sides are told: turns of one conversation, of the same length each. */
export interface Turn {
  readonly index: number;
  readonly text: string;
}

const TURN_CHARACTERS = 200;
/** As the legacy service counts: four characters a token. */
const CHARACTERS_PER_TOKEN = 4;

/** As many turns are about one topic as the first users' search returned. */
export const SEARCH_RESULTS = 5;
export const HISTORY_TURNS = 20;
/** A budget that exactly the history fits into. */
export const HISTORY_TOKENS = (HISTORY_TURNS * TURN_CHARACTERS) / CHARACTERS_PER_TOKEN;

export function turnAt(index: number, turns: number): Turn {
  const text = `turn number ${index} is about ${topicAt(index % topicsOf(turns))} and then goes on for a while `;
  return { index, text: text.padEnd(TURN_CHARACTERS, '.') };
}

export function topicsOf(turns: number): number {
  return Math.ceil(turns / SEARCH_RESULTS);
}

/** A word of its own. */
export function topicAt(index: number): string {
  return `topic${index}`;
}
