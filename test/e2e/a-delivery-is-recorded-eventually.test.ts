import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startDeployment, type Deployment } from '../support/deployment.ts';
import { eventually } from '../support/eventually.ts';
import { askOnce, createSession, freshSession } from '../support/session-agent.ts';

let deployment: Deployment;

beforeAll(async () => {
  deployment = await startDeployment({ asked: { dualWrite: true, shadowRead: 0, readCutover: 0 } });
});

afterAll(async () => {
  await deployment?.end();
});

test('a lost delivery record is written again without another write to the lane', async () => {
  const session = freshSession();
  const lane = `session-memory/${session}`;
  const progress = async () => {
    const columns = 'seeded_coverage::int as seeded, delivered_sequence::int as delivered, sequence::int';
    type Row = Readonly<Record<'seeded' | 'delivered' | 'sequence', number>>;
    return (await deployment.journal<Row>(`select ${columns} from lanes where key = '${lane}'`))[0];
  };
  const stored = () => deployment.store(`select from sessions where session_id = '${session}'`);
  const other = new pg.Client({ connectionString: deployment.databaseUrl });
  await other.connect();
  // The delivery is held back until the lane's row is locked.
  deployment.orchestratorPath.silence();
  await askOnce(deployment.endpoints['session-memory'], createSession(session));
  await eventually('the lane, seeded', async () => ((await progress())?.seeded ?? 0) > 0);
  try {
    await other.query('begin');
    await other.query('select from lanes where key = $1 for update', [lane]);
    await deployment.orchestratorPath.pass();
    const waiting = `select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock'`;
    await eventually('the record', async () => (await deployment.journal(waiting)).length > 0);
    expect(await stored()).toHaveLength(1);
    expect(await progress()).toMatchObject({ delivered: 0, sequence: 1 });
    await other.query('rollback');
  } finally {
    await other.end();
  }
  await eventually('the record, made again', async () => (await progress())?.delivered === 1);
});
