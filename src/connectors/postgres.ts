export type { CheckpointedSourceOptions, OpenAt } from '../checkpoint/checkpointedSource.ts';
export type { ResumePoint } from '../checkpoint/Progress.ts';
export {
  CheckpointHeldError,
  CheckpointLostError,
  CheckpointMismatchError,
  ConnectionsClosedError,
  DeadLetterError,
  NotificationError,
  PostgresRowError,
  QueueOverflowError,
  TransactionLostError,
} from '../errors.ts';
export {
  postgresCheckpoint,
  type PostgresCheckpoint,
  type PostgresCheckpointOptions,
} from './postgres/checkpoint.ts';
export { classifyPostgresError } from './postgres/classify.ts';
export type { PostgresContext } from './postgres/clients.ts';
export {
  PostgresConnections,
  type PostgresConnectionsOptions,
  type PostgresStats,
} from './postgres/connections.ts';
export { postgresTransaction } from './postgres/transaction.ts';
export {
  fromNotifications,
  type CatchUp,
  type DroppedNotification,
  type FromNotificationsOptions,
  type ListenLoss,
} from './postgres/fromNotifications.ts';
export { fromQuery, type FromQueryOptions } from './postgres/fromQuery.ts';
export { fromTable, type FromTableOptions } from './postgres/fromTable.ts';
export type { PostgresSink } from './postgres/sink.ts';
export { postgresTable, type PostgresTableOptions } from './postgres/table.ts';
export { fromDeadLetters, toDeadLetters, type DeadLetterRow } from './postgres/deadLetters.ts';
export type {
  ErrorRecord,
  FromDeadLettersOptions,
  StoredDeadLetter,
  ToDeadLettersOptions,
} from './LetterRecord.ts';
