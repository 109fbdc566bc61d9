import { messageOf } from '../../domain/errors.ts';
import type { NamedItem } from '../../domain/named-item.ts';
import type { NamedItems } from '../../domain/service-definition.ts';
import type { Emit } from '../ports/events.ts';
import { nameItems } from '../items/named-items.ts';
import type { OwnedOperation } from '../ports/operation.ts';
import type { Clock, Journal, WriteRef } from '../ports/ports.ts';
import { within } from '../ports/within.ts';

/** Share of the time until the latest send that finding the items may take. */
const LONGEST_SHARE = 0.5;

export interface ResolveParts {
  readonly journal: Journal;
  readonly clock: Clock;
  readonly emit: Emit;
}

/** A journaled write that names its items by place, with its latest send. */
export interface Naming {
  readonly operation: OwnedOperation;
  readonly names: NamedItems;
  readonly ref: WriteRef;
  readonly sendUntilMs: number;
}

/**
 * Finds the items that a write names, and stores them before the write is sent. It is its lane's only open write, so nothing
 * changes meanwhile. Undefined if the items are not certain. The write is sent all the same, and its lane is copied. Never
 * rejects.
 */
export type ResolveItems = (naming: Naming) => Promise<readonly NamedItem[] | undefined>;

export function createResolveItems({ journal, clock, emit }: ResolveParts): ResolveItems {
  const find = async (naming: Naming, untilMs: number): Promise<readonly NamedItem[]> => {
    const { operation, names } = naming;
    const { definition, access, context } = operation.service;
    const read = definition.lanes.readLegacy(operation.owner, access, context);
    // A later read may already show the effect of the write.
    const lane = await within(read, untilMs - clock.now(), { what: 'reading the lane' });
    return nameItems(lane, names.find(operation.message, lane));
  };
  return async (naming) => {
    const { operation, ref } = naming;
    const facts = { service: operation.service.name, operationId: operation.id, action: operation.name };
    const untilMs = clock.now() + (naming.sendUntilMs - clock.now()) * LONGEST_SHARE;
    try {
      const items = await find(naming, untilMs);
      const stored = journal.nameItems(ref, items);
      const isCertain = await within(stored, untilMs - clock.now(), { what: 'the journal' });
      emit('write:named', { ...facts, lane: ref.lane, result: isCertain ? 'found' : 'unsettled' });
      return isCertain ? items : undefined;
    } catch (error) {
      emit('write:named', { ...facts, lane: ref.lane, result: 'unreadable', reason: messageOf(error) });
      return undefined;
    }
  };
}
