import { createHash } from 'node:crypto';
import { DatabaseSync } from 'node:sqlite';
import type { DrainWorld } from './drain-world.ts';

/** A lane as a store holds it: how many interactions, and a digest of their texts in order. */
interface Held {
  readonly count: number;
  readonly digest: string;
}

export interface Equality {
  readonly lanes: number;
  readonly interactions: number;
  /** Lanes whose count or order differs, or that only one store holds. */
  readonly unequal: number;
  /** What agents were told is stored, and legacy does not hold. */
  readonly lost: number;
  /** The first of the unequal, in words. */
  readonly findings: readonly string[];
}

const FINDINGS = 5;
/** Between two interactions, in what the digests are made of. */
const SEPARATOR = '\u001e';

/** Reads both databases past all programs. Of each lane only the digest is kept: a store may be larger than memory. */
export async function compareStores(
  world: DrainWorld,
  acknowledged: ReadonlyMap<string, number>,
): Promise<Equality> {
  const [legacy, orchestrator] = [readLegacy(world.sqliteFile), await readOrchestrator(world)];
  const names = new Set([...legacy.keys(), ...orchestrator.keys(), ...acknowledged.keys()]);
  const unequal = [...names].filter((name) => !isEqual(legacy.get(name), orchestrator.get(name)));
  const lost = [...acknowledged].map(([name, count]) => Math.max(0, count - (legacy.get(name)?.count ?? 0)));
  return {
    lanes: names.size,
    interactions: sum([...legacy.values()].map(({ count }) => count)),
    unequal: unequal.length,
    lost: sum(lost),
    findings: unequal
      .slice(0, FINDINGS)
      .map(
        (name) => `${name}: legacy ${shown(legacy.get(name))}, orchestrator ${shown(orchestrator.get(name))}`,
      ),
  };
}

function isEqual(there: Held | undefined, here: Held | undefined): boolean {
  return there !== undefined && there.count === here?.count && there.digest === here.digest;
}

function shown(held: Held | undefined): string {
  return held === undefined ? 'holds nothing' : `holds ${held.count} (${held.digest.slice(0, 8)})`;
}

function sum(counts: readonly number[]): number {
  return counts.reduce((total, count) => total + count, 0);
}

function readLegacy(file: string): Map<string, Held> {
  const sqlite = new DatabaseSync(file, { readOnly: true });
  const rows = sqlite
    .prepare(
      `select s.session_id, i.role, i.content from sessions s left join interactions i using (session_id)
       order by s.session_id, i.id`,
    )
    .iterate();
  const lanes = new Map<string, Held>();
  let [name, count, hash] = ['', 0, createHash('md5')];
  const close = (): void => {
    if (name !== '') lanes.set(name, { count, digest: hash.digest('hex') });
  };
  for (const row of rows) {
    if (row['session_id'] !== name) {
      close();
      [name, count, hash] = [String(row['session_id']), 0, createHash('md5')];
    }
    if (row['content'] === null) continue;
    hash.update(`${count > 0 ? SEPARATOR : ''}${String(row['role'])}\n${String(row['content'])}`);
    count += 1;
  }
  close();
  sqlite.close();
  return lanes;
}

async function readOrchestrator({ store }: DrainWorld): Promise<Map<string, Held>> {
  const rows = await store<Held & { session_id: string }>(`
    select s.session_id, count(m.memory_id)::int as count,
      md5(coalesce(string_agg((m.content ->> 'role') || chr(10) || (m.content ->> 'text'), chr(30) order by m.position, m.memory_id), '')) as digest
    from sessions s
    left join memory_entries m on m.session_id = s.session_id and m.is_active and 'conversation' = any(m.tags)
    where s.ended_at is null group by s.session_id`);
  return new Map(rows.map(({ session_id, count, digest }) => [session_id, { count, digest }]));
}
