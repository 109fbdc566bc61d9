import { Type, type Static } from 'typebox';

const ADDRESS = '^(tcp|ipc|http|https)://.+';
const PUB_ADDRESS = '^(tcp|ipc)://.+';
const HTTP_ADDRESS = '^https?://.+';
const POSTGRES = '^postgres(ql)?://.+';
const CURVE_KEY = '^[0-9a-zA-Z.:+=^!/*?&<>()\\[\\]{}@%$#-]{40}$';
const NETWORK = '^[0-9a-fA-F.:]+(/\\d{1,3})?$';
const NOT_BLANK = '^$|\\S';
const TOKEN = '^$|^[!-~]([ -~]*[!-~])?$';
const KEY_OF_32_BYTES = '^[A-Za-z0-9+/]{43}=$';

/** What each pattern requires, in words. */
export const PATTERNS: Readonly<Record<string, string>> = {
  [ADDRESS]: 'an address such as tcp://host:5570 or http://host:5571',
  [PUB_ADDRESS]: 'an address such as tcp://host:6583',
  [HTTP_ADDRESS]: 'an address such as http://host:4318',
  [POSTGRES]: 'an address such as postgres://user@host/database',
  [CURVE_KEY]: 'a CURVE key of 40 characters (crossfade orchestrator keys curve)',
  [NETWORK]: 'an IP address or a network such as 10.0.0.7 or 10.0.0.0/8',
  [NOT_BLANK]: 'text that is not blank',
  [TOKEN]: 'ASCII text without blanks at its ends',
  [KEY_OF_32_BYTES]: '32 bytes in base64 (openssl rand -base64 32)',
  '^rediss?://.+': 'an address such as redis://host:6379',
  '^[a-z_][a-z0-9_]{0,62}$': 'a name of lowercase letters, digits and underscores',
};

const Port = Type.Integer({ minimum: 1, maximum: 65_535 });
/** The longest timer of Node, in milliseconds: 24 days. As seconds it is 68 years. */
const MOST = 2_147_483_647;
/** 100 years. Earlier instants are not dates of the database. */
const MOST_HOURS = 876_000;
const MOST_DAYS = 36_500;
const Whole = (least: number, most = MOST) => Type.Integer({ minimum: least, maximum: most });
const Bytes = (least: number) => Whole(least, Number.MAX_SAFE_INTEGER);
const Text = Type.String({ minLength: 1, pattern: NOT_BLANK });
const CurveKey = Type.String({ pattern: CURVE_KEY });
const closed = { additionalProperties: false };

const Interlocks = Type.Union([Type.Literal('enforce'), Type.Literal('warn'), Type.Literal('off')]);

const WebhookFormat = Type.Union([Type.Literal('signed'), Type.Literal('slack'), Type.Literal('teams')]);

const OperatorRole = Type.Union([Type.Literal('viewer'), Type.Literal('operator'), Type.Literal('approver')]);

const Legacy = Type.Object(
  {
    endpoint: Type.String({ pattern: ADDRESS }),
    pubEndpoint: Type.Optional(Type.String({ pattern: PUB_ADDRESS })),
    inFlight: Whole(0),
    queueSize: Whole(1),
    connections: Whole(1),
    sqliteFile: Type.Optional(Text),
    jsonFile: Type.Optional(Text),
    scratchCommand: Type.Optional(Type.Array(Text, { minItems: 1 })),
  },
  closed,
);

const Retention = Type.Object(
  {
    idleSeconds: Type.Optional(Whole(1)),
    owners: Type.Optional(Whole(1)),
    entries: Type.Optional(Whole(1)),
  },
  closed,
);

const Service = Type.Object(
  {
    definition: Type.Optional(Text),
    host: Type.Optional(Text),
    port: Type.Optional(Port),
    healthPort: Type.Optional(Port),
    pubPort: Type.Optional(Port),
    timeZone: Text,
    deadlineMs: Type.Optional(Whole(100)),
    interlocks: Type.Optional(Interlocks),
    retention: Retention,
    legacy: Legacy,
  },
  closed,
);

/** Every setting, with its unit in its name. config/production.example.yaml explains each. */
export const ConfigSchema = Type.Object(
  {
    proxy: Type.Object(
      { host: Text, deadlineMs: Whole(100), drainMs: Whole(0), takeOverMs: Whole(0) },
      closed,
    ),
    http: Type.Object(
      {
        host: Text,
        port: Port,
        allowedHosts: Type.Optional(Type.Array(Text, { maxItems: 100 })),
        trustedProxies: Type.Optional(Type.Array(Type.String({ pattern: NETWORK }), { maxItems: 100 })),
      },
      closed,
    ),
    limits: Type.Object(
      {
        messageBytes: Bytes(1_024),
        jsonDepth: Whole(8),
        jsonValues: Whole(1_000),
        inFlightRequests: Whole(1),
        inFlightBytes: Bytes(1_024),
        connections: Whole(16),
      },
      closed,
    ),
    journal: Type.Object(
      {
        databaseUrl: Type.Optional(Type.String({ pattern: POSTGRES })),
        folder: Text,
        poolSize: Whole(2),
        preparedStatements: Type.Boolean(),
        retentionHours: Whole(1, MOST_HOURS),
        whenAway: Type.Union([Type.Literal('legacy-only'), Type.Literal('reject')]),
        spillFolder: Type.Optional(Text),
        spillLimitBytes: Bytes(1_048_576),
        laneBacklog: Whole(100),
        totalBacklog: Whole(1_000),
        encryptionKey: Type.Optional(Type.String({ pattern: KEY_OF_32_BYTES })),
      },
      closed,
    ),
    orchestrator: Type.Object(
      {
        endpoint: Type.String({ pattern: ADDRESS }),
        key: Type.Optional(Text),
        curve: Type.Optional(
          Type.Object({ serverKey: CurveKey, publicKey: CurveKey, secretKey: CurveKey }, closed),
        ),
        readTimeoutMs: Whole(1),
        deliveryTimeoutMs: Whole(100),
        batchSize: Type.Integer({ minimum: 1, maximum: 400 }),
        inFlight: Whole(1),
      },
      closed,
    ),
    shadow: Type.Object(
      {
        queueSize: Whole(1),
        concurrency: Whole(1),
        timeoutMs: Whole(10),
        lanePercentage: Type.Number({ minimum: 0, maximum: 100 }),
        sampleHours: Whole(0, MOST_HOURS),
        repeatsPerMinute: Type.Integer({ minimum: 0, maximum: 600 }),
      },
      closed,
    ),
    copies: Type.Object({ concurrency: Whole(1), automatic: Type.Boolean() }, closed),
    flips: Type.Object(
      {
        perSecond: Type.Number({ exclusiveMinimum: 0, maximum: 10_000 }),
        soakHours: Type.Number({ minimum: 0, maximum: MOST_HOURS }),
        verifiedHours: Type.Number({ exclusiveMinimum: 0, maximum: MOST_HOURS }),
        provenHours: Type.Number({ exclusiveMinimum: 0, maximum: MOST_HOURS }),
      },
      closed,
    ),
    rollout: Type.Object(
      {
        folder: Text,
        unleash: Type.Optional(
          Type.Object(
            {
              url: Type.String({ pattern: HTTP_ADDRESS }),
              apiToken: Text,
              appName: Text,
              refreshIntervalMs: Whole(100),
              adminUrl: Type.Optional(Type.String({ pattern: HTTP_ADDRESS })),
              adminToken: Type.Optional(Text),
              project: Text,
              environment: Type.Optional(Text),
            },
            closed,
          ),
        ),
      },
      closed,
    ),
    operator: Type.Object(
      {
        tokens: Type.Record(
          Type.String({ pattern: '^[a-z][a-z0-9-]{0,62}$' }),
          Type.Object({ role: OperatorRole, token: Type.String({ minLength: 16, pattern: TOKEN }) }, closed),
          closed,
        ),
      },
      closed,
    ),
    desk: Type.Optional(
      Type.Object(
        {
          host: Text,
          port: Port,
          withoutSignIn: Type.Boolean(),
          pages: Type.Union([Type.Literal('all'), Type.Literal('reports')]),
          url: Type.Optional(Type.String({ pattern: HTTP_ADDRESS })),
        },
        closed,
      ),
    ),
    interlocks: Interlocks,
    criteria: Type.Object(
      {
        comparisons: Whole(1),
        withoutError: Whole(1),
        mismatchRate: Type.Number({ exclusiveMinimum: 0, maximum: 1 }),
        readLatencyToleranceMs: Type.Number({ minimum: 0, maximum: 1_000 }),
      },
      closed,
    ),
    guard: Type.Object(
      {
        mode: Type.Union([Type.Literal('enforce'), Type.Literal('warn')]),
        coolDownSeconds: Whole(0),
        keepDays: Whole(1, MOST_DAYS),
        keepBundles: Whole(1),
        signalToken: Type.Optional(Type.String({ minLength: 1, pattern: TOKEN })),
        alertUrl: Type.Optional(Type.String({ pattern: HTTP_ADDRESS })),
        alertKey: Type.Optional(Text),
        alertFormat: WebhookFormat,
      },
      closed,
    ),
    readOnly: Type.Object(
      {
        bypassFreeSeconds: Whole(0),
        requiredSeconds: Whole(0),
        settleSeconds: Whole(1),
        censusSeconds: Whole(1),
      },
      closed,
    ),
    reconciliation: Type.Object({ changed: Type.String(), full: Type.String(), timeZone: Text }, closed),
    reports: Type.Object(
      {
        schedule: Type.String(),
        timeZone: Text,
        keepDays: Whole(1, MOST_DAYS),
        folder: Type.Optional(Text),
        webhookUrl: Type.Optional(Type.String({ pattern: HTTP_ADDRESS })),
        webhookKey: Type.Optional(Text),
        webhookFormat: WebhookFormat,
      },
      closed,
    ),
    telemetry: Type.Object(
      {
        logLevel: Type.Union(
          (['trace', 'debug', 'info', 'warn', 'error', 'silent'] as const).map((level) =>
            Type.Literal(level),
          ),
        ),
        traceSampleRatio: Type.Number({ minimum: 0, maximum: 1 }),
        otlpEndpoint: Type.Optional(Type.String({ pattern: HTTP_ADDRESS })),
      },
      closed,
    ),
    services: Type.Record(Type.String({ pattern: '^[a-z][a-z0-9-]{0,62}$' }), Service, {
      ...closed,
      minProperties: 1,
    }),
  },
  closed,
);

export type Config = Static<typeof ConfigSchema>;
export type ServiceConfig = Config['services'][string];
