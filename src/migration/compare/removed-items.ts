import type { LaneKey, ServiceName } from '../../domain/ids.ts';
import { readText } from '../../domain/request.ts';
import type { ServiceDefinition, WriteAction } from '../../domain/service-definition.ts';
import type { KeyedWrites } from './comparison-stores.ts';

type KeyedAction = WriteAction & Required<Pick<WriteAction, 'itemKeys'>>;

interface KeyedService {
  readonly definition: Pick<ServiceDefinition, 'actions'>;
}

/** Which items of a lane its agents have removed, as the journal knows it: whichever replica took the write, and after a restart too. */
export class RemovedItems {
  readonly #writes: KeyedWrites;
  readonly #actions: ReadonlyMap<ServiceName, ReadonlyMap<string, KeyedAction>>;

  constructor(services: ReadonlyMap<ServiceName, KeyedService>, writes: KeyedWrites) {
    this.#writes = writes;
    this.#actions = new Map([...services].map(([name, service]) => [name, keyedActions(service)]));
  }

  /**
   * Keys of the items that are removed at this moment. Undefined where the service's writes carry none: then nothing is asked.
   * @throws StorageError
   */
  async of(service: ServiceName, lane: LaneKey): Promise<ReadonlySet<string> | undefined> {
    const actions = this.#actions.get(service);
    if (actions === undefined || actions.size === 0) return undefined;
    const writes = await this.#writes.appliedTo(lane, [...actions.keys()]);
    const gone = new Set<string>();
    for (const { action, request } of writes) {
      const { removed = [], written = [] } = actions.get(action)?.itemKeys(readText(request)) ?? {};
      for (const key of written) gone.delete(key);
      for (const key of removed) gone.add(key);
    }
    return gone;
  }
}

function keyedActions({ definition }: KeyedService): ReadonlyMap<string, KeyedAction> {
  const entries = Object.entries(definition.actions).flatMap(([name, action]) =>
    action.kind === 'write' && action.itemKeys !== undefined ? [[name, action as KeyedAction] as const] : [],
  );
  return new Map(entries);
}
