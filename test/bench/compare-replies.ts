import type { ComparisonRule } from '../../src/domain/comparison.ts';
import { readDialogues } from '../accept/dialogues.ts';

/** Legacy's reply to get_context and the orchestrator's, as texts; and both as they would be if nothing differed. */
export interface BenchPair {
  readonly legacy: string;
  readonly orchestrator: string;
}

interface Interaction {
  readonly role: string;
  readonly content: string;
  readonly timestamp: string;
}

const TWO_KIB = 2_048;
const OWNER = { owner: 'bench', reason: 'made for the benchmark' };

export const TIMESTAMP_RULES: readonly ComparisonRule[] = [
  { ...OWNER, kind: 'ignore', path: 'context[].timestamp' },
];

/** As many as a well-kept service has; three of them touch what the replies hold. */
export const TWENTY_RULES: readonly ComparisonRule[] = [
  ...TIMESTAMP_RULES,
  { ...OWNER, kind: 'equal_if_missing', path: 'context[].metadata' },
  { ...OWNER, kind: 'prefix', path: 'conversation_summary' },
  ...Array.from({ length: 17 }, (_, index): ComparisonRule => ({
    ...OWNER,
    kind: index % 2 === 0 ? 'ignore' : 'set',
    path: index % 3 === 0 ? `context[].extra.field_${index}` : `statistics.field_${index}`,
  })),
];

function timestampOf(index: number, isOwnClock: boolean): string {
  const seconds = String(index % 60).padStart(2, '0');
  const minutes = String(Math.floor(index / 60) % 60).padStart(2, '0');
  const micros = String(isOwnClock ? 104_217 + index : 931_005 + index).padStart(6, '0');
  return `2026-11-21T01:${minutes}:${seconds}.${micros}`;
}

/** As Python spells it. */
function replyOf(interactions: readonly Interaction[]): string {
  const context = interactions.map(
    ({ role, content, timestamp }) =>
      `{"role": "${role}", "content": ${JSON.stringify(content)}, "timestamp": "${timestamp}"}`,
  );
  return `{"status": "success", "context": [${context.join(', ')}], "request_id": "bench-1"}`;
}

/** Interactions of real dialogues, until their reply is so long. */
async function interactionsOf(bytes: number, skip: number): Promise<Interaction[]> {
  const turns = (await readDialogues()).flatMap((dialogue) => dialogue.turns);
  const found: Interaction[] = [];
  let length = 70;
  for (let at = 0; length < bytes; at += 1) {
    const turn = turns[(skip + at) % turns.length];
    if (turn === undefined) break;
    const { speaker: role, text: content } = turn;
    found.push({ role, content, timestamp: timestampOf(at, true) });
    length += content.length + 85;
  }
  return found;
}

const withOwnClock = (interactions: readonly Interaction[]): Interaction[] =>
  interactions.map((each, index) => ({ ...each, timestamp: timestampOf(index, false) }));

/** Three values altered, spread over the reply. */
function altered(interactions: readonly Interaction[]): Interaction[] {
  const every = Math.floor(interactions.length / 3);
  return interactions.map((each, index) =>
    index % every === 1 && index < every * 3 ? { ...each, content: `${each.content} (altered)` } : each,
  );
}

/** An altered text, an item that is missing, and another role: what a lost write and two defects look like. */
function defective(interactions: readonly Interaction[]): Interaction[] {
  const [first, second, , fourth, ...rest] = interactions;
  if (first === undefined || second === undefined || fourth === undefined) return [];
  return [first, { ...second, content: 'altered' }, { ...fourth, role: 'system' }, ...rest];
}

const PAIRS = 16;

async function pairs(make: (interactions: readonly Interaction[]) => Interaction[]): Promise<BenchPair[]> {
  return Promise.all(
    Array.from({ length: PAIRS }, async (_, index) => {
      const interactions = await interactionsOf(TWO_KIB, index * 23);
      return { legacy: replyOf(interactions), orchestrator: replyOf(make(interactions)) };
    }),
  );
}

export const identicalPairs = (): Promise<BenchPair[]> => pairs((interactions) => [...interactions]);
export const timestampPairs = (): Promise<BenchPair[]> => pairs(withOwnClock);
export const alteredPairs = (): Promise<BenchPair[]> => pairs(altered);
export const defectivePairs = (): Promise<BenchPair[]> =>
  pairs((interactions) => withOwnClock(defective(interactions)));

const ONE_MIB = 1024 * 1024;

/** Replies of 1 MiB by what is hard about them. */
export async function largePairs(): Promise<Readonly<Record<string, BenchPair>>> {
  const interactions = await interactionsOf(ONE_MIB, 0);
  const numbers = Array.from({ length: ONE_MIB / 4 }, (_, index) => index % 997);
  return {
    'interactions, other timestamps': {
      legacy: replyOf(interactions),
      orchestrator: replyOf(withOwnClock(interactions)),
    },
    'interactions, one missing at the front': {
      legacy: replyOf(interactions),
      orchestrator: replyOf(withOwnClock(interactions.slice(1))),
    },
    'a list of numbers in another order': {
      legacy: JSON.stringify({ context: numbers }),
      orchestrator: JSON.stringify({ context: numbers.toReversed() }),
    },
    'one long text': {
      legacy: JSON.stringify({ context: [{ content: 'a'.repeat(ONE_MIB) }] }),
      orchestrator: JSON.stringify({ context: [{ content: `${'a'.repeat(ONE_MIB - 1)}b` }] }),
    },
  };
}
