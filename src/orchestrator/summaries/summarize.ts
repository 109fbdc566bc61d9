import type { Call } from '../call.ts';
import { textColumns, textIn, type TextRow as StoredText } from '../encryption/sealed-content.ts';
import type { VaultSession as Session } from '../encryption/vault-session.ts';
import { conditionOf, type Filter, Parameters, VISIBLE } from '../memories/filter.ts';
import type { Request } from '../wire/request.ts';
import type { Summary } from './summarizer.ts';
import { restoredText } from '../wire/unstorable-text.ts';
import { write } from '../memories/write.ts';

// Limit of memories for one summary, newest first. It fits into one request to a model.
const MEMORIES_READ = 1_000;
const MEMORY_CHARACTERS = 2_000;
const CHARACTERS_READ = 100_000;

/** The input of a summary. */
interface Summarized {
  readonly method: Summary['method'];
  readonly model: string | null;
  readonly fell_back: boolean;
  /** Number of memories read, and number selected. */
  readonly memory_count: number;
  readonly total_count: number;
  /** Times of the oldest and newest memory read, inclusive. Null without memories. */
  readonly time_range: { readonly start: string; readonly end: string } | null;
}

interface TextRow extends StoredText {
  readonly escaped: boolean;
  readonly created_at: Date;
  readonly total: number;
}

interface Summarizable {
  /** Oldest first. */
  readonly texts: readonly string[];
  readonly facts: Pick<Summarized, 'memory_count' | 'total_count' | 'time_range'>;
}

/** Summarises the selected memories. */
export async function summarize({ parts, request }: Call<'summarize'>): Promise<object> {
  const { payload, sessionId } = request;
  const { memory_type: type, time_range: range } = payload;
  const found = await textsOf(parts.database, sessionId, {
    ...(type === undefined ? {} : { memory_type: type }),
    ...(range === undefined ? {} : { time_range: range }),
  });
  const summary = await parts.summarizer.summarize(found.texts);
  return {
    summary: summary.text,
    memory_count: found.facts.total_count,
    time_range: range ?? {},
    summarized: summarizedBy(summary, found),
  };
}

/**
 * Ends a session. Makes a summary of its memories unless the caller gives one or the session has one. Fenced writes and operations of a
 * batch are stored as given.
 */
export async function endSessionSummarized(call: Call<'end_session'>): Promise<object> {
  const { parts, request } = call;
  if (request.payload.summary !== undefined || request.lane !== undefined) return write(call);
  const [open] = await parts.database.query(
    'select from sessions where session_id = $1 and ended_at is null and summary is null',
    [request.sessionId],
  );
  const found = open === undefined ? undefined : await textsOf(parts.database, request.sessionId, {});
  if (found === undefined || found.texts.length === 0) return write(call);
  const summary = await parts.summarizer.summarize(found.texts);
  const generated = { summary: summary.text, summarized: summarizedBy(summary, found) };
  return write({ ...call, request: { ...request, generated } satisfies Request<'end_session'> });
}

function summarizedBy(summary: Summary, { facts }: Summarizable): Summarized {
  const { method, model = null, fell_back: fellBack = false } = summary;
  return { method, model, fell_back: fellBack, ...facts };
}

async function textsOf(session: Session, sessionId: string, filter: Filter): Promise<Summarizable> {
  const parameters = new Parameters();
  const condition = conditionOf({ sessionId, filter, vault: session.vault }, parameters);
  const found = await session.query<TextRow>(
    `select ${textColumns(MEMORY_CHARACTERS)}, m.escaped, m.created_at, count(*) over () as total
     from memory_entries m where ${condition} and ${VISIBLE}
     order by created_at desc, position desc, memory_id desc limit ${MEMORIES_READ}`,
    parameters.values,
  );
  const rows = found.map((row) => ({ ...row, text: textIn(row, MEMORY_CHARACTERS) }));
  let room = CHARACTERS_READ;
  const read = rows.filter(({ text }) => {
    room -= text.length;
    return room >= 0;
  });
  const [end, start] = [read[0], read.at(-1)];
  const range =
    start === undefined || end === undefined
      ? null
      : { start: start.created_at.toISOString(), end: end.created_at.toISOString() };
  return {
    texts: read
      .toReversed()
      .map(({ text, escaped }) => restoredText(text, escaped))
      .filter((text) => text !== ''),
    facts: { memory_count: read.length, total_count: rows[0]?.total ?? 0, time_range: range },
  };
}
