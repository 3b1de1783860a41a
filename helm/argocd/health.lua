-- Health of a ClickPipe for Argo CD. It goes by the conditions, whose meanings are those of kstatus, not by phases: a phase
-- that a later version adds is read right without a change here.

if obj.status == nil or obj.status.observedGeneration ~= obj.metadata.generation then
  return {status = "Progressing", message = "Waiting for the operator"}
end

local conditions = {}
for _, condition in ipairs(obj.status.conditions or {}) do
  conditions[condition.type] = condition
end

local function isTrue(type)
  return conditions[type] ~= nil and conditions[type].status == "True"
end

local health = {status = "Progressing", message = obj.status.message or ""}
if isTrue("Stalled") then
  health.status = "Degraded" -- waits for a person; a sync fails at once
elseif isTrue("SlotAtRisk") then
  -- Also of a pipe that runs, or is paused as it should be: what the source drops now is lost to it.
  health = {status = "Degraded", message = conditions.SlotAtRisk.message}
elseif isTrue("Ready") and not isTrue("Reconciling") then
  health.status = conditions.Ready.reason == "Paused" and "Suspended" or "Healthy"
end
-- Everything else is on its way, also a pipe that waits for a database to come back: it goes on by itself.
return health
