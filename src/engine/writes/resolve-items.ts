import { messageOf } from '../../domain/errors.ts';
import type { NamedItem } from '../../domain/named-item.ts';
import type { NamedItems } from '../../domain/service-definition.ts';
import type { Emit } from '../ports/events.ts';
import { nameItems } from '../items/named-items.ts';
import type { OwnedOperation } from '../ports/operation.ts';
import type { Clock, Journal, WriteRef } from '../ports/ports.ts';
import { within } from '../ports/within.ts';

/** Of the time a write has left before it may not be sent any more, the share that finding its items may take. */
const LONGEST_SHARE = 0.5;

export interface ResolveParts {
  readonly journal: Journal;
  readonly clock: Clock;
  readonly emit: Emit;
}

/** A journaled write that names its items by their place, with the instant after which it is not sent. */
export interface Naming {
  readonly operation: OwnedOperation;
  readonly names: NamedItems;
  readonly ref: WriteRef;
  readonly sendUntilMs: number;
}

/**
 * Finds which items a write names, and stores it, before the write is sent: its lane's only open write, so that nothing moves
 * meanwhile. Undefined where that cannot be told for certain: the write is sent all the same, and its lane copied. Never rejects.
 */
export type ResolveItems = (naming: Naming) => Promise<readonly NamedItem[] | undefined>;

export function createResolveItems({ journal, clock, emit }: ResolveParts): ResolveItems {
  const find = async (naming: Naming, untilMs: number): Promise<readonly NamedItem[]> => {
    const { operation, names } = naming;
    const { definition, access, context } = operation.service;
    const read = definition.lanes.readLegacy(operation.owner, access, context);
    // What is read later may show what the write has done already.
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
