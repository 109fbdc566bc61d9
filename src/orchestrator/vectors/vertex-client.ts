import type { SearchSettings } from '../settings.ts';
import type { Vector } from './vector-store.ts';

/** The restricts of a datapoint. */
export type Restrictions = Readonly<Record<'session_id' | 'memory_type', readonly string[]>>;

export interface Datapoint {
  readonly memoryId: string;
  readonly vector: Vector;
  readonly restrictions: Partial<Restrictions>;
}

interface NeighbourQuery {
  readonly vector: Vector;
  readonly count: number;
  readonly restrictions: Partial<Restrictions>;
}

/** The used part of Vertex AI Vector Search: one index, and the endpoint to which it is deployed. */
export interface VertexClient {
  /** The full name of the index. */
  readonly index: string;
  /** Ids of memories, nearest first. */
  neighbours(query: NeighbourQuery): Promise<string[]>;
  upsert(datapoints: readonly Datapoint[]): Promise<void>;
  remove(memoryIds: readonly string[]): Promise<void>;
  close(): Promise<void>;
}

interface VertexAddress {
  readonly apiEndpoint: string;
  readonly indexEndpoint: string;
  readonly deployedIndexId: string;
  readonly index: string;
  readonly timeoutMs: number;
}

/** @throws Error listing the settings that are missing */
export function vertexAddressOf(settings: SearchSettings['vertex']): VertexAddress {
  const { apiEndpoint = '', indexEndpoint = '', deployedIndexId = '', index = '', timeoutMs } = settings;
  const given = { apiEndpoint, indexEndpoint, deployedIndexId, index };
  const missing = Object.entries(given).flatMap(([name, value]) => (value === '' ? [name] : []));
  if (missing.length > 0)
    throw new Error(
      missing.map((name) => `search.vertex.${name} is required with search.store "vertex"`).join('\n'),
    );
  return { ...given, timeoutMs };
}

interface CallOptions {
  readonly timeout: number;
}

interface WireRestriction {
  readonly namespace: string;
  readonly allowList: readonly string[];
}

interface WireDatapoint {
  readonly datapointId: string;
  readonly featureVector: readonly number[];
  readonly restricts: readonly WireRestriction[];
}

interface MatchService {
  findNeighbors(request: object, options: CallOptions): Promise<[FoundNeighbours, ...unknown[]]>;
  close(): Promise<void>;
}

interface FoundNeighbours {
  readonly nearestNeighbors?: readonly {
    readonly neighbors?: readonly { readonly datapoint?: { readonly datapointId?: string } }[];
  }[];
}

interface IndexService {
  upsertDatapoints(request: object, options: CallOptions): Promise<unknown>;
  removeDatapoints(request: object, options: CallOptions): Promise<unknown>;
  close(): Promise<void>;
}

/** The used part of @google-cloud/aiplatform, which is not a dependency, so its types are missing. */
export interface AiPlatformPackage {
  readonly v1: {
    readonly MatchServiceClient: new (options: object) => MatchService;
    readonly IndexServiceClient: new (options: object) => IndexService;
  };
}

const PACKAGE = '@google-cloud/aiplatform';

/** @throws Error with the package to install */
export async function loadAiPlatform(): Promise<AiPlatformPackage> {
  try {
    return (await import(PACKAGE)) as AiPlatformPackage;
  } catch (cause) {
    throw new Error(
      `search.store "vertex" needs a package that is not installed: run npm install ${PACKAGE}`,
      {
        cause,
      },
    );
  }
}

interface VertexConnection {
  readonly load?: () => Promise<AiPlatformPackage>;
  /** Options of both services, such as credentials. @defaultValue Application Default Credentials of the environment */
  readonly options?: object;
}

interface Services {
  readonly match: MatchService;
  readonly indexes: IndexService;
}

/** Connects at the first call, with the credentials of the environment. */
export function createVertexClient(address: VertexAddress, connection: VertexConnection = {}): VertexClient {
  const { index, indexEndpoint, deployedIndexId } = address;
  const { load = loadAiPlatform, options = {} } = connection;
  const call: CallOptions = { timeout: address.timeoutMs };
  let opening: Promise<Services> | undefined;

  async function open(): Promise<Services> {
    const { v1 } = await load();
    const apiEndpoint = `${locationOf(index)}-aiplatform.googleapis.com`;
    return {
      match: new v1.MatchServiceClient({ apiEndpoint: address.apiEndpoint, ...options }),
      indexes: new v1.IndexServiceClient({ apiEndpoint, ...options }),
    };
  }

  function services(): Promise<Services> {
    opening ??= open().catch((error: unknown) => {
      opening = undefined;
      throw error;
    });
    return opening;
  }

  return {
    index,
    async neighbours({ vector, count, restrictions }) {
      const datapoint = wireDatapoint({ memoryId: 'query', vector, restrictions });
      const queries = [{ datapoint, neighborCount: count }];
      const { match } = await services();
      const [found] = await match.findNeighbors({ indexEndpoint, deployedIndexId, queries }, call);
      const neighbours = found.nearestNeighbors?.[0]?.neighbors ?? [];
      return neighbours.flatMap(({ datapoint: near }) => near?.datapointId ?? []);
    },
    async upsert(datapoints) {
      const { indexes } = await services();
      await indexes.upsertDatapoints({ index, datapoints: datapoints.map(wireDatapoint) }, call);
    },
    async remove(memoryIds) {
      const { indexes } = await services();
      await indexes.removeDatapoints({ index, datapointIds: memoryIds }, call);
    },
    async close() {
      const open_ = await opening?.catch(() => undefined);
      await open_?.match.close();
      await open_?.indexes.close();
    },
  };
}

function wireDatapoint({ memoryId, vector, restrictions }: Datapoint): WireDatapoint {
  const restricts = Object.entries(restrictions).map(([namespace, allowList]) => ({ namespace, allowList }));
  return { datapointId: memoryId, featureVector: [...vector], restricts };
}

/** `projects/P/locations/L/indexes/I` → L */
function locationOf(index: string): string {
  return index.split('/')[3] ?? '';
}
