import type { Session } from '../storage/database.ts';
import { conditionOf, Parameters, VISIBLE } from './filter.ts';
import type { Request } from './request.ts';
import { restoredText } from './unstorable-text.ts';

// Enough for any conversation that a person can read, and little enough to score in a few milliseconds.
const MEMORIES_READ = 1_000;
const CHARACTERS_READ = 2_000;
const SENTENCES_KEPT = 5;
const SHORTEST_WORD = 4;

interface TextRow {
  readonly text: string | null;
  readonly escaped: boolean;
  readonly total: number;
}

/** Extracts the sentences that say most of what the selected memories are about, in their own order. No model writes anything. */
export async function summarize(session: Session, request: Request<'summarize'>): Promise<object> {
  const { payload, sessionId } = request;
  const { memory_type: type, time_range: range } = payload;
  const parameters = new Parameters();
  const filter = {
    ...(type === undefined ? {} : { memory_type: type }),
    ...(range === undefined ? {} : { time_range: range }),
  };
  const condition = conditionOf({ sessionId, filter }, parameters);
  const rows = await session.query<TextRow>(
    `select left(text_content, ${CHARACTERS_READ}) as text, escaped, count(*) over () as total from memory_entries m
     where ${condition} and ${VISIBLE} order by created_at desc, position desc, memory_id desc limit ${MEMORIES_READ}`,
    parameters.values,
  );
  const texts = rows.toReversed().map(({ text, escaped }) => restoredText(text ?? '', escaped));
  return {
    summary: extract(texts),
    memory_count: rows[0]?.total ?? 0,
    time_range: range ?? null,
  };
}

function extract(texts: readonly string[]): string {
  const sentences = texts.flatMap((text) => text.split(/(?<=[.!?])\s+|\n+/)).filter((text) => text !== '');
  const frequency = new Map<string, number>();
  const wordsOf = sentences.map((sentence) => [...new Set(words(sentence))]);
  for (const word of wordsOf.flat()) frequency.set(word, (frequency.get(word) ?? 0) + 1);
  const scores = wordsOf.map((list) => {
    const total = list.reduce((sum, word) => sum + (frequency.get(word) ?? 0), 0);
    return total / Math.sqrt(list.length + 1);
  });
  return [...sentences.keys()]
    .sort((a, b) => (scores[b] ?? 0) - (scores[a] ?? 0) || a - b)
    .slice(0, SENTENCES_KEPT)
    .sort((a, b) => a - b)
    .map((index) => sentences[index])
    .join(' ');
}

function words(sentence: string): string[] {
  return (sentence.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []).filter(
    (word) => word.length >= SHORTEST_WORD,
  );
}
