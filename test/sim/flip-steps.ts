import type { FlipDecision, FlipPermission } from '../../src/engine/ports/flip-ports.ts';
import type { WriteRef } from '../../src/engine/ports/ports.ts';
import type { Lane, Opened } from './journal-contract-lane.ts';

export const LONG_MS = 60_000;
export const VERSION = '1-tested';
export const BUCKET = 30;
export const BY = { person: 'ann', reason: 'tested' };

export type Subject = Opened & { readonly lane: Lane };

export type Open = (versions: Readonly<Record<string, string>>) => Opened;

/** A lane of a covered service, whose one write is on both backends. */
export async function delivered({ journal, coverage, lane }: Subject): Promise<WriteRef> {
  const seedsUnder = await coverage.begin(lane.service);
  const ref = await lane.write();
  await journal.recordOutcome({ ref, outcome: 'applied', seedsUnder });
  await journal.delivered(ref);
  return ref;
}

/** Replicas of other tests are registered for every service, and know no share. */
export async function forgetReplicas({ replicas, identity }: Opened): Promise<void> {
  const beat = { coverage: {}, shares: {}, isSpilling: false };
  for (const { replica } of (await replicas.heartbeat(identity.id, beat)).replicas)
    await replicas.leave(replica);
}

/** A share that contains the lane. No replica is registered, so none has to report it. */
export async function permitted({ shares, lane }: Subject, percentage = BUCKET): Promise<FlipPermission> {
  await shares.resize(lane.service, percentage, VERSION);
  const { number = 0 } = (await shares.shares()).get(lane.service) ?? {};
  return { share: number, bucket: BUCKET, version: VERSION };
}

export async function decided(subject: Subject, to: FlipDecision['to'], ms = LONG_MS): Promise<FlipDecision> {
  const permission = to === 'legacy' ? undefined : await permitted(subject);
  const held = await subject.flips.announce(subject.lane.key, ms);
  if (held === undefined) throw new Error('the lane cannot be held');
  const { epoch, sequence } = held.state;
  return { to, epoch, sequence, claim: held.claim, ...(permission && { permission }) };
}

/** The way back is not proven. */
export async function decidedFirst(subject: Subject): Promise<FlipDecision> {
  const decision = await decided(subject, 'orchestrator');
  return { ...decision, permission: { ...(await permitted(subject)), isFirst: true } };
}

export async function flipped(subject: Subject, to: FlipDecision['to'] = 'orchestrator') {
  return subject.flips.flip(subject.lane.key, await decided(subject, to));
}

/** Its heartbeat says that it acts on the share. */
export async function reports({ replicas, identity }: Opened, lane: Lane, share = 0): Promise<void> {
  const beat = { coverage: {}, shares: { [lane.service]: share }, isSpilling: false };
  await replicas.heartbeat(identity.id, beat);
}
