export { ConnectionsClosedError, DeadLetterError, PostgresRowError } from '../errors.ts';
export { classifyPostgresError } from './postgres/classify.ts';
export type { PostgresContext } from './postgres/clients.ts';
export {
  PostgresConnections,
  type PostgresConnectionsOptions,
  type PostgresStats,
} from './postgres/connections.ts';
export { postgresTable, type PostgresTableOptions } from './postgres/table.ts';
export { fromDeadLetters, toDeadLetters, type DeadLetterRow } from './postgres/deadLetters.ts';
export type {
  ErrorRecord,
  FromDeadLettersOptions,
  StoredDeadLetter,
  ToDeadLettersOptions,
} from './LetterRecord.ts';
