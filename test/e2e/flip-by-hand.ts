import { createPostgresDatabase } from '../../src/storage/database.ts';
import { agentsRun } from './crash.ts';
import type { CrashCase, CrashStage } from './crash-stage.ts';
import { type LaneWork, workOf } from './crash-workload.ts';

/** Makes the orchestrator the primary of every lane, as flips do. */
const FLIP = `
  with moved as (
    update lanes set primary_backend = 'orchestrator', epoch = epoch + 1, obeyed_sequence = sequence
    where delivered_sequence = sequence and condition = 'clean' returning id, epoch
  )
  insert into flips (lane_id, epoch, primary_backend, bucket, replica, compared_at, comparison)
  select id, epoch, 'orchestrator', 50, gen_random_uuid(), now(), 'equal' from moved returning lane_id`;

export async function queryJournal<Row extends object>(
  { journalUrl }: CrashCase,
  sql: string,
): Promise<readonly Row[]> {
  const database = createPostgresDatabase({ url: journalUrl, poolSize: 1 });
  try {
    return await database.query<Row>(sql);
  } finally {
    await database.close();
  }
}

/** A case with lanes of every service, whose primary is the orchestrator. No proxy runs. */
export async function beginFlipped(
  stage: CrashStage,
): Promise<{ one: CrashCase; works: readonly LaneWork[] }> {
  const one = await stage.begin();
  const works = workOf(one.prefix);
  const before = await one.startProxy();
  await agentsRun(one, works, 0);
  await one.settled();
  await before.stop();
  const moved = await queryJournal(one, FLIP);
  if (moved.length !== works.length) throw new Error(`${moved.length} of ${works.length} lanes were flipped`);
  return { one, works };
}
