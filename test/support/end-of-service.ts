import type { EndOfService } from '../../src/operator/api/ends.ts';
import { eventually } from './eventually.ts';
import type { OperatorCalls } from './operator-calls.ts';

/** Settings under which a service is complete within seconds. */
export const SHORT_END = { requiredSeconds: 1, settleSeconds: 1, censusSeconds: 1 };

/** The steps by which persons end the migration of one service. Each resolves as soon as its record is durable. */
export interface EndOfMigration {
  /** Legacy gets no later write. */
  readOnly(): Promise<void>;
  /** Tries again until the service is read-only: legacy may still lack writes of a proxy that was killed. */
  becameReadOnly(): Promise<void>;
  /** Opens the service again. */
  reopen(): Promise<void>;
  /** Resolves when legacy has its last write. */
  settled(): Promise<void>;
  /** Waits for every condition, accepts what can be accepted, and completes the service. */
  complete(): Promise<void>;
}

export function createEndOfMigration(operator: OperatorCalls, service: string): EndOfMigration {
  const path = `/v1/ends/${service}`;
  const show = (): Promise<EndOfService> => operator.get(path);
  const post = (step: string, body?: object): Promise<object> => operator.post(`${path}/${step}`, body);
  const backup = (): Promise<object> =>
    post('backup', {
      folder: '/backup',
      made_at: new Date().toISOString(),
      manifest_sha256: '0'.repeat(64),
      lanes: 0,
      items: 0,
    });
  const missing = async (): Promise<EndOfService['completion']> =>
    (await show()).completion.filter(({ met }) => !met);
  const approved = async (): Promise<void> => {
    const { facts } = await show();
    for (const person of ['ada', 'grace']) await post('approve', { person, facts });
    await post('complete', { facts });
  };
  const readOnly = async (): Promise<void> => void (await post('read-only'));
  return {
    readOnly,
    becameReadOnly: async () =>
      void (await eventually('the record that legacy is read-only', async () => {
        await readOnly().catch(() => undefined);
        return (await show()).state === 'read_only';
      })),
    reopen: async () => void (await post('read-only/end')),
    settled: async () =>
      void (await eventually('the last write on legacy', async () => (await show()).settled_at !== null)),
    async complete() {
      // The first backup starts the clock, the second one is the final backup.
      await backup();
      for (const { accept } of await missing())
        if (accept !== undefined) await post('accept', { subject: accept });
      await backup();
      await eventually('all but the approvals', async () => {
        const needs = (await missing()).map(({ need }) => need);
        return needs.join() === 'two_approvals';
      });
      // A census, or a comparison, may change the facts between two steps. They are then looked at again.
      await eventually('the completion', () =>
        approved().then(
          () => true,
          () => false,
        ),
      );
    },
  };
}
