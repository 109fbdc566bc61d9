import { beforeEach, expect, test } from 'vitest';
import { replicaId, type ReplicaId } from '../../../../src/domain/ids.ts';
import { ReplicaIdentity, type ReplicaReport } from '../../../../src/engine/ports/replica-ports.ts';
import { Membership } from '../../../../src/engine/replicas/membership.ts';
import { NO_SIGNALS, SERVICE } from '../engine-parts.ts';

const OTHER: ReplicaReport = { replica: replicaId('other'), silentMs: 0, coverage: {} };

let nowMs = 0;
beforeEach(() => {
  nowMs = 0;
});

/** A replica that has registered, among others whose reports can be changed. */
async function createMember(others: ReplicaReport[] = []) {
  let names = 0;
  const identity = new ReplicaIdentity(() => replicaId(`this-${(names += 1)}`));
  const facts = { isListed: true, others };
  const reportOf = (replica: ReplicaId): ReplicaReport => ({ replica, silentMs: 0, coverage: {} });
  const membership = new Membership({
    identity,
    store: {
      register: async () => facts.others.length,
      heartbeat: async (replica) => ({
        replicas: facts.isListed ? [reportOf(replica), ...facts.others] : facts.others,
        isAnySpilled: false,
        nowMs: 0,
      }),
      leave: async () => undefined,
    },
    clock: { now: () => nowMs, wallMs: () => nowMs, sleep: async () => undefined },
    isSpilling: () => false,
    shares: () => ({}),
    signals: NO_SIGNALS,
  });
  await membership.beat({});
  return { membership, identity, facts };
}

test('a replica assumes it is alone for two seconds after an answered heartbeat', async () => {
  const { membership } = await createMember();
  nowMs = 1_999;
  expect(membership.isAlone).toBe(true);
  nowMs = 2_000;
  expect(membership.isAlone).toBe(false);
  await membership.beat({});
  expect(membership.isAlone).toBe(true);
});

test('no write is sent in the last second of the lease', async () => {
  const { membership } = await createMember([OTHER]);
  nowMs = 1_999;
  expect(membership.mayAct).toBe(true);
  nowMs = 2_000;
  expect(membership.mayAct).toBe(false);
});

test('a replica that was given up acts two seconds after its new registration', async () => {
  const { membership, identity, facts } = await createMember([OTHER]);
  const before = identity.id;
  facts.isListed = false;
  await membership.beat({});
  expect(identity.id).not.toBe(before);
  facts.isListed = true;
  nowMs = 1_000;
  await membership.beat({});
  expect(membership.mayAct).toBe(false);
  nowMs = 2_000;
  await membership.beat({});
  expect(membership.mayAct).toBe(true);
});

test('coverage is active only when every other replica reports its number', async () => {
  const { membership, facts } = await createMember([{ ...OTHER, coverage: { [SERVICE]: 2 } }]);
  expect(membership.allReport(SERVICE, 2)).toBe(true);
  expect(membership.allReport(SERVICE, 3)).toBe(false);
  facts.others = [{ ...OTHER, coverage: {} }];
  await membership.beat({});
  expect(membership.allReport(SERVICE, 2)).toBe(false);
});
