import type { LaneKey, ServiceName } from '../../domain/ids.ts';
import { readText } from '../../domain/request.ts';
import type { ItemKeys, ServiceDefinition, WriteAction } from '../../domain/service-definition.ts';
import type { KeyedWrites } from './comparison-stores.ts';

type KeyedAction = WriteAction & Required<Pick<WriteAction, 'itemKeys'>>;

interface KeyedService {
  readonly definition: Pick<ServiceDefinition, 'actions'>;
}

/**
 * The items of a lane that agents have removed, according to the journal. It covers the writes of all replicas and from before a
 * restart.
 */
export class RemovedItems {
  readonly #writes: KeyedWrites;
  readonly #actions: ReadonlyMap<ServiceName, ReadonlyMap<string, KeyedAction>>;

  constructor(services: ReadonlyMap<ServiceName, KeyedService>, writes: KeyedWrites) {
    this.#writes = writes;
    this.#actions = new Map([...services].map(([name, service]) => [name, keyedActions(service)]));
  }

  /**
   * Keys of the items that are removed now, or were removed after the lane's write `upTo`. Undefined if the service's writes
   * carry no keys; the journal is not queried then.
   * @throws StorageError
   */
  async of(service: ServiceName, lane: LaneKey, upTo?: number): Promise<ReadonlySet<string> | undefined> {
    const actions = this.#actions.get(service);
    if (actions === undefined) return undefined;
    const removing = [...actions].filter(([, { onlyAdds }]) => onlyAdds !== true).map(([name]) => name);
    if (removing.length === 0) return undefined;
    const writes = await this.#writes.appliedTo(lane, { actions: [...actions.keys()], removing, upTo });
    const items = new LaneItems();
    for (const { action, request } of writes) {
      const keys = actions.get(action)?.itemKeys(readText(request));
      if (keys !== undefined) items.take(keys);
    }
    return items.gone;
  }
}

/** The created and removed items. */
class LaneItems {
  readonly gone = new Set<string>();
  readonly #there = new Set<string>();

  take({ removed = [], removesAll, written = [] }: ItemKeys): void {
    for (const key of removesAll === true ? [...this.#there, ...removed] : removed) {
      this.#there.delete(key);
      this.gone.add(key);
    }
    for (const key of written) {
      this.#there.add(key);
      this.gone.delete(key);
    }
  }
}

function keyedActions({ definition }: KeyedService): ReadonlyMap<string, KeyedAction> {
  const entries = Object.entries(definition.actions).flatMap(([name, action]) =>
    action.kind === 'write' && action.itemKeys !== undefined ? [[name, action as KeyedAction] as const] : [],
  );
  return new Map(entries);
}
