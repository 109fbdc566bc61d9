import type { Owner, ServiceName } from '../../domain/ids.ts';
import { EMPTY_TALLY, type RunRequest, type Tally } from '../ports/run.ts';
import { readLegacyLanes } from './legacy-lanes.ts';
import { shapeOf } from '../compare/shape.ts';
import { parseTolerantly } from '../../domain/json.ts';
import type { ServiceRuntime } from '../ports/service-runtime.ts';

/**
 * The document of an import, by service: counts, a digest, what was left out and why, how each member was mapped, and samples
 * without content.
 */
export async function importDocument(
  { services }: RunRequest,
  tallies: Readonly<Record<string, Tally>>,
  runtimes: ReadonlyMap<ServiceName, ServiceRuntime>,
): Promise<object> {
  const documents: Record<string, object> = {};
  for (const name of services) {
    const { counts, digest, skipped, samples } = tallies[name] ?? EMPTY_TALLY;
    const runtime = runtimes.get(name);
    documents[name] = {
      ...counts,
      digest,
      skipped,
      mapping: runtime?.definition.lanes.mapping ?? [],
      not_mapped: runtime?.definition.unmapped ?? [],
      samples: runtime === undefined ? [] : await withShapes(runtime, samples),
    };
  }
  return { services: documents };
}

async function withShapes(service: ServiceRuntime, samples: readonly object[]): Promise<object[]> {
  const owners = samples.flatMap((sample) => ('owner' in sample ? [sample.owner as Owner] : []));
  const readings = await readLegacyLanes(service, owners);
  return samples.map((sample) => {
    const reading = 'owner' in sample ? readings.get(sample.owner as Owner) : undefined;
    const item = reading !== undefined && 'lane' in reading ? reading.lane.items[0] : undefined;
    const shapes = Object.entries(item?.fields ?? {}).map(([name, raw]) => [
      name,
      shapeOf(parseTolerantly(raw)),
    ]);
    return { ...sample, first_item: { ...Object.fromEntries(shapes), at: item?.at ?? null } };
  });
}
