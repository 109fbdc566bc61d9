import {
  digestedContent,
  digestedText,
  orderedDigest,
  type DigestedMembers,
} from '../../src/domain/content-digest.ts';
import { createPostgresDatabase, type Database } from '../../src/storage/database.ts';
import { serveParent, settingsOfChild } from './child.ts';
import definition, { ITEMS_PER_LANE, laneAt, ownerAt } from './reconcile-legacy.ts';

// The baseline: a loop that reads and hashes both sides once, and knows nothing of writers, claims, crashes or what it found before.

export interface BareSettings {
  readonly databaseUrl: string;
}

export interface BareJob {
  readonly lanes: number;
}

export interface BareResult {
  readonly seconds: number;
  /** Lanes whose digests are not the same. */
  readonly different: number;
}

const LANES_PER_PAGE = 200;
const ROWS = `
select session_id, content::text as content from memory_entries
where session_id = any($1::text[]) and is_active order by session_id, position, memory_id`;

interface Row {
  readonly session_id: string;
  readonly content: string;
}

const digested = membersOf(definition);
const { databaseUrl } = settingsOfChild() as BareSettings;
const database: Database = createPostgresDatabase({ url: databaseUrl, poolSize: 1 });

function membersOf({ lanes }: typeof definition): DigestedMembers {
  if (lanes.digest === undefined) throw new Error('the definition says nothing of digests');
  return lanes.digest;
}

function digestOf(texts: readonly string[]): string {
  const digest = orderedDigest();
  for (const text of texts) digest.add(text);
  return digest.digest();
}

function legacyDigest(lane: number): string {
  const owner = ownerAt(lane);
  const { items } = laneAt(lane);
  return digestOf(
    items.map((item) => digestedContent(definition.lanes.createPayload(item, owner)['content'], digested)),
  );
}

async function readBoth({ lanes }: BareJob): Promise<BareResult> {
  const startedAtMs = performance.now();
  let different = 0;
  for (let first = 0; first < lanes; first += LANES_PER_PAGE) {
    const page = Array.from({ length: Math.min(LANES_PER_PAGE, lanes - first) }, (_, index) => first + index);
    const rows = await database.query<Row>(ROWS, [page.map((lane) => ownerAt(lane))]);
    const contents = new Map<string, string[]>(page.map((lane) => [ownerAt(lane), []]));
    for (const { session_id: id, content } of rows) contents.get(id)?.push(content);
    for (const lane of page) {
      const held = contents.get(ownerAt(lane)) ?? [];
      if (
        held.length !== ITEMS_PER_LANE ||
        digestOf(held.map((content) => digestedText(content, digested))) !== legacyDigest(lane)
      )
        different += 1;
    }
  }
  return { seconds: (performance.now() - startedAtMs) / 1_000, different };
}

serveParent<BareJob>(readBoth);
