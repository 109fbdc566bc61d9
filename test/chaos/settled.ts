import { setTimeout as sleep } from 'node:timers/promises';
import type { ProxyStatus } from '../accept/world.ts';
import type { Stores } from './judge.ts';
import { REPLICAS } from './links.ts';
import type { World } from './world.ts';

const LIMIT_MS = 240_000;
/** What takes longer is said, with what it waits for. */
const SLOW_MS = 20_000;
const PAUSE_MS = 100;
/** Between an answer and the record that its lane is dirty nothing is counted. */
const READINGS = 3;

function isQuiet({ backlog, replicas, services }: ProxyStatus): boolean {
  // Deliveries are looked for in the journal: those of a lane that waits for a person wait as long.
  const isIdle = backlog.copies + backlog.shadow_reads === 0;
  const isWhole = replicas.live === REPLICAS.length && replicas.silent === 0;
  return isIdle && isWhole && services.every(({ lanes }) => lanes.dirty + lanes.copying === 0);
}

/** Resolves when nothing is under way on either replica. @throws Error with what still is, after a minute */
export async function settled(world: World): Promise<void> {
  const startedAtMs = performance.now();
  let slowAtMs = startedAtMs + SLOW_MS;
  for (let readings = 0; readings < READINGS;) {
    const isSo = await Promise.all(
      REPLICAS.map(async (replica) => isQuiet(await world.status(replica))),
    ).catch(() => [false]);
    readings = isSo.every(Boolean) && (await undelivered(world)).length === 0 ? readings + 1 : 0;
    if (performance.now() > slowAtMs) {
      slowAtMs += SLOW_MS;
      console.error(`Slow:\n${await unwell(world)}`);
    }
    if (performance.now() > startedAtMs + LIMIT_MS)
      throw new Error(`Not settled within ${LIMIT_MS} ms:\n${await unwell(world)}`);
    await sleep(PAUSE_MS);
  }
}

interface Behind {
  readonly key: string;
  readonly condition: string;
  readonly reason: string;
  readonly sequence: number;
  readonly delivered_sequence: number;
}

/** A write that a person must send to legacy, or not. */
const HALTED = `
select from reverse_sends r where r.lane_id = l.id and r.ended_at is null and r.halted_at is not null and r.decision is null`;

/** Flips after which the lane was not compared. */
const UNCOMPARED = `
select l.key, l.condition, 'not compared after its flip' as reason, l.sequence, l.delivered_sequence
from flips f join lanes l on l.id = f.lane_id and l.epoch = f.epoch
where f.primary_backend = 'orchestrator' and f.compared_at is null and l.condition = 'clean' and not exists (${HALTED})
  and not exists (select from service_writes s where s.service = l.service and s.state <> 'open')`;

/** Lanes with a write that is not settled, or applied and not delivered; those that wait for a person wait with all they have. */
function undelivered(world: World): Promise<readonly Behind[]> {
  return world
    .journal<Behind>(
      `select l.key, l.condition, l.reason, l.sequence, l.delivered_sequence from lanes l
       where l.condition <> 'stopped' and not exists (${HALTED})
         and not exists (select from service_writes s where s.service = l.service and s.state <> 'open') and exists (
         select from writes w left join outcomes o on o.lane_id = w.lane_id and o.sequence = w.sequence
         where w.lane_id = l.id and w.sequence > greatest(l.delivered_sequence, l.settled_sequence)
           and coalesce(o.outcome, 'unsettled') in ('applied', 'unsettled'))
       union all ${UNCOMPARED}`,
    )
    .catch(() => [{ key: '?', condition: '', reason: 'no journal', sequence: 0, delivered_sequence: 0 }]);
}

async function unwell(world: World): Promise<string> {
  const lanes = [
    ...(await undelivered(world)),
    ...(await world.journal<Behind>(
      `select key, condition, reason, sequence, delivered_sequence from lanes where condition not in ('clean', 'stopped')`,
    )),
  ];
  const statuses = await Promise.all(
    REPLICAS.map(async (replica) => {
      const status = await world.status(replica).catch((error: unknown) => ({ error: String(error) }));
      return 'error' in status ? status : { replica, backlog: status.backlog, replicas: status.replicas };
    }),
  );
  return [...statuses, ...lanes].map((one) => JSON.stringify(one)).join('\n');
}

/** What the journal says of the lanes, by their keys. */
export async function lanesIn(
  world: World,
): Promise<Pick<Stores, 'stopped' | 'halted' | 'flipped' | 'ended'>> {
  const keysOf = async (sql: string): Promise<ReadonlySet<string>> => {
    const rows = await world.journal<{ key: string }>(sql);
    return new Set(rows.map(({ key }) => key));
  };
  return {
    stopped: await keysOf(`select key from lanes where condition = 'stopped'`),
    halted: await keysOf(`select l.key from lanes l where exists (${HALTED})`),
    flipped: await keysOf(`select key from lanes where primary_backend = 'orchestrator'`),
    ended: await keysOf(`select service as key from service_writes where state <> 'open'`),
  };
}
