import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import {
  loadPackageDefinition,
  type sendUnaryData,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServiceDefinition,
  status,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

interface WireDatapoint {
  readonly datapointId: string;
  readonly featureVector: readonly number[];
  readonly restricts: readonly { readonly namespace: string; readonly allowList: readonly string[] }[];
}

type Handler = (request: Record<string, unknown>) => object;

/** Speaks the part of Vertex AI's gRPC protocol that the adapter uses, from the definitions of Google's own package. */
export interface VertexServer {
  readonly port: number;
  readonly datapoints: Map<string, WireDatapoint>;
  readonly calls: string[];
  /** Every call fails, or is never answered. */
  mood: 'well' | 'failing' | 'silent';
  stop(): void;
}

const require = createRequire(import.meta.url);

function servicesOf(): { match: ServiceDefinition; indexes: ServiceDefinition } {
  // Both packages begin at build/src/index.js and have their definitions in build/protos.
  const protosOf = (name: string) => join(dirname(require.resolve(name)), '../protos');
  const definition = loadSync(
    ['match_service', 'index_service'].map((name) => `google/cloud/aiplatform/v1/${name}.proto`),
    {
      includeDirs: [protosOf('@google-cloud/aiplatform'), protosOf('google-gax')],
      defaults: true,
      enums: String,
      longs: Number,
    },
  );
  const loaded = loadPackageDefinition(definition) as unknown as {
    google: { cloud: { aiplatform: { v1: Record<string, { service: ServiceDefinition }> } } };
  };
  const { MatchService, IndexService } = loaded.google.cloud.aiplatform.v1;
  if (MatchService === undefined || IndexService === undefined)
    throw new Error('The definitions lack a service');
  return { match: MatchService.service, indexes: IndexService.service };
}

export async function startVertexServer(): Promise<VertexServer> {
  const datapoints = new Map<string, WireDatapoint>();
  const server = new Server();
  const state = { datapoints, calls: [] as string[], mood: 'well' as VertexServer['mood'] };

  const answering =
    (name: string, handler: Handler) =>
    (call: ServerUnaryCall<Record<string, unknown>, object>, reply: sendUnaryData<object>): void => {
      state.calls.push(name);
      if (state.mood === 'failing') reply({ code: status.UNAVAILABLE, details: 'down' });
      else if (state.mood === 'well') reply(null, handler(call.request));
    };

  const { match, indexes } = servicesOf();
  server.addService(match, { findNeighbors: answering('find', (request) => find(datapoints, request)) });
  server.addService(indexes, {
    upsertDatapoints: answering('upsert', (request) => {
      for (const point of request['datapoints'] as WireDatapoint[]) datapoints.set(point.datapointId, point);
      return {};
    }),
    removeDatapoints: answering('remove', (request) => {
      for (const id of request['datapointIds'] as string[]) datapoints.delete(id);
      return {};
    }),
  });
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  );
  return Object.assign(state, { port, stop: () => server.forceShutdown() });
}

function find(datapoints: ReadonlyMap<string, WireDatapoint>, request: Record<string, unknown>): object {
  const [query] = request['queries'] as { datapoint: WireDatapoint; neighborCount: number }[];
  if (query === undefined) return { nearestNeighbors: [] };
  const near = [...datapoints.values()]
    .filter((point) => isLetThrough(point, query.datapoint))
    .map((point) => ({ point, similarity: cosine(point.featureVector, query.datapoint.featureVector) }))
    .toSorted((one, other) => other.similarity - one.similarity)
    .slice(0, query.neighborCount);
  const neighbors = near.map(({ point, similarity }) => ({
    datapoint: { datapointId: point.datapointId },
    distance: 1 - similarity,
  }));
  return { nearestNeighbors: [{ id: 'query', neighbors }] };
}

// A query is let through to a datapoint that has one of the allowed tokens in each namespace.
function isLetThrough(point: WireDatapoint, query: WireDatapoint): boolean {
  return query.restricts.every(({ namespace, allowList }) => {
    const tokens = point.restricts.find((restrict) => restrict.namespace === namespace)?.allowList ?? [];
    return tokens.some((token) => allowList.includes(token));
  });
}

function cosine(one: readonly number[], other: readonly number[]): number {
  const dot = (a: readonly number[], b: readonly number[]) =>
    a.reduce((sum, value, index) => sum + value * (b[index] ?? 0), 0);
  return dot(one, other) / Math.sqrt(dot(one, one) * dot(other, other));
}
