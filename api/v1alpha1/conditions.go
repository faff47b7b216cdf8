package v1alpha1

// Conditions of a ConnectionPool.
const (
	// ConditionReady sums up the others: the pool serves clients as its spec says.
	ConditionReady = "Ready"

	// ConditionAvailable says that enough pods serve clients. It stays True through rollouts.
	ConditionAvailable = "Available"

	// ConditionConfigSynced says that every ready pod runs the configuration of the observed generation: the pods
	// said so, it is not assumed.
	ConditionConfigSynced = "ConfigSynced"

	// ConditionSaturated says that clients wait because a destination has no connection left for them.
	ConditionSaturated = "Saturated"

	// ConditionHeld is present while stopPolicy keeps clients from a destination, and True when no transaction runs there
	// any more (Hold), or no connection is open (HoldAndDrain): pods said so, it is not assumed.
	ConditionHeld = "Held"

	// ConditionSizesIgnored is present, and True, while sizes name destinations that are not there.
	ConditionSizesIgnored = "SizesIgnored"

	// ConditionReconciling is present, and True, while the operator or the pods work towards the spec.
	ConditionReconciling = "Reconciling"

	// ConditionStalled is present, and True, while nothing moves on until a person changes something.
	ConditionStalled = "Stalled"
)

// Conditions of a destination. ConditionSaturated and ConditionHeld are the others.
const (
	// ConditionReachable says that the pods can open connections to the destination.
	ConditionReachable = "Reachable"

	// ConditionAutoscaled is present while limits.autoscale moves the limit: True when clients get what they need, False
	// when more than maxOpen would be needed.
	ConditionAutoscaled = "Autoscaled"

	// ConditionUsersFound is present while auth.lookup names who looks users up, and False when that fails.
	ConditionUsersFound = "UsersFound"
)

// Reasons of ConditionReady. When it is not True it has the reason of the condition that holds it back.
const (
	// ReasonPending is the reason before the operator has looked.
	ReasonPending = "Pending"

	// ReasonReady is the reason of Ready=True.
	ReasonReady = "Ready"
)

// Reasons of ConditionAvailable.
const (
	// ReasonEnoughPods is the reason of Available=True.
	ReasonEnoughPods = "EnoughPods"

	// ReasonTooFewPods says that fewer pods are ready than replicas less maxUnavailable.
	ReasonTooFewPods = "TooFewPods"

	// ReasonNoPods says that no pod is ready.
	ReasonNoPods = "NoPods"

	// ReasonScaledToZero says that replicas is 0.
	ReasonScaledToZero = "ScaledToZero"
)

// Reasons of ConditionConfigSynced.
const (
	// ReasonAllPodsSynced is the reason of ConfigSynced=True.
	ReasonAllPodsSynced = "AllPodsSynced"

	// ReasonPodsLag says that some pods run an older configuration.
	ReasonPodsLag = "PodsLag"

	// ReasonPodsSilent says that some pods do not answer the operator.
	ReasonPodsSilent = "PodsSilent"
)

// Reasons of ConditionSaturated, of the pool and of a destination.
const (
	// ReasonWaiting says that clients wait for a connection while all of them are in use.
	ReasonWaiting = "Waiting"

	// ReasonAcquireTimeouts says that clients waited in vain.
	ReasonAcquireTimeouts = "AcquireTimeouts"

	// ReasonConnectionsLeft is the reason of Saturated=False.
	ReasonConnectionsLeft = "ConnectionsLeft"

	// ReasonNoReports says that no pod has reported yet.
	ReasonNoReports = "NoReports"
)

// Reasons of ConditionHeld, of the pool and of a destination.
const (
	// ReasonHeld is the reason of Held=True for Hold. Ready has it, too, while clients are held.
	ReasonHeld = "Held"

	// ReasonDrained is the reason of Held=True for HoldAndDrain.
	ReasonDrained = "Drained"

	// ReasonHolding says what a hold still waits for.
	ReasonHolding = "Holding"
)

// Reasons of ConditionAutoscaled.
const (
	// ReasonBegun says that the limit has not been moved yet: it begins at maxOpen.
	ReasonBegun = "Begun"

	// ReasonRaisedForWaiting says that the limit was last raised because clients waited while all connections were in use.
	ReasonRaisedForWaiting = "RaisedForWaiting"

	// ReasonRaisedForUse says that the limit was last raised because more than the target was in use.
	ReasonRaisedForUse = "RaisedForUse"

	// ReasonLowered says that the limit was last lowered because less was enough for the whole stabilization time.
	ReasonLowered = "Lowered"

	// ReasonBounded says that the limit was last moved because maxOpen, a size, minOpen or the number of pods changed.
	ReasonBounded = "Bounded"

	// ReasonAtMaxOpen is the reason of Autoscaled=False: clients need more than maxOpen or a size allows.
	ReasonAtMaxOpen = "AtMaxOpen"
)

// Reasons of ConditionUsersFound.
const (
	// ReasonLookupWorks is the reason of UsersFound=True: no lookup has failed since the last that succeeded.
	ReasonLookupWorks = "LookupWorks"

	// ReasonLookupFailed says that the server cannot be asked about users, or answers what makes no sense.
	ReasonLookupFailed = "LookupFailed"
)

// ReasonUnknownDestination is the reason of SizesIgnored=True.
const ReasonUnknownDestination = "UnknownDestination"

// Reasons of ConditionReachable. It is ReasonHeld while clients are held.
const (
	// ReasonReachable is the reason of Reachable=True.
	ReasonReachable = "Reachable"

	// ReasonNotTried says that no pod has tried to connect yet.
	ReasonNotTried = "NotTried"

	// ReasonUnreachable says that no endpoint takes connections.
	ReasonUnreachable = "Unreachable"

	// ReasonAuthenticationFailed says that the server refuses the login.
	ReasonAuthenticationFailed = "AuthenticationFailed"

	// ReasonDatabaseMissing says that the server has no database of that name.
	ReasonDatabaseMissing = "DatabaseMissing"

	// ReasonTLSFailed says that pods and server cannot agree on TLS.
	ReasonTLSFailed = "TLSFailed"

	// ReasonWrongRole says that no endpoint is what targetSession asks for.
	ReasonWrongRole = "WrongRole"

	// ReasonServerRefused says that the server answers with another error.
	ReasonServerRefused = "ServerRefused"
)

// Reasons of ConditionReconciling.
const (
	// ReasonRollingOut says that pods are being added, replaced or removed.
	ReasonRollingOut = "RollingOut"

	// ReasonSyncing says that pods have yet to take over the configuration.
	ReasonSyncing = "Syncing"

	// ReasonMovingShares says that connections move from pod to pod: those that have too many must let go first.
	ReasonMovingShares = "MovingShares"
)

// Reasons of ConditionStalled.
const (
	// ReasonBudgetTooSmall says that a destination's maxOpen is smaller than the number of pods.
	ReasonBudgetTooSmall = "BudgetTooSmall"

	// ReasonNameClash says that an object that the pool needs belongs to somebody else.
	ReasonNameClash = "NameClash"

	// ReasonApplyFailed says that the API server refuses an object that the pool needs.
	ReasonApplyFailed = "ApplyFailed"

	// ReasonConfigTooLarge says that the configuration of the pool does not fit into a ConfigMap.
	ReasonConfigTooLarge = "ConfigTooLarge"

	// ReasonSecretMissing says that a Secret, or a key of it, is not there.
	ReasonSecretMissing = "SecretMissing"

	// ReasonSecretInvalid says that a Secret is there and cannot be used.
	ReasonSecretInvalid = "SecretInvalid"

	// ReasonListenFailed says that pods cannot listen on a port.
	ReasonListenFailed = "ListenFailed"

	// ReasonRolloutStuck says that the Deployment made no progress for its deadline.
	ReasonRolloutStuck = "RolloutStuck"
)
