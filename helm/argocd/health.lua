-- Health of a ClickPipe for Argo CD. It goes by the conditions, whose meanings are those of kstatus, not by phases: a phase
-- that a later version adds is read right without a change here.

if obj.status == nil or obj.status.observedGeneration ~= obj.metadata.generation then
  return {status = "Progressing", message = "Waiting for the operator"}
end

local isTrue = {}
for _, condition in ipairs(obj.status.conditions or {}) do
  isTrue[condition.type] = condition.status == "True"
end

local health = {status = "Progressing", message = obj.status.message or ""}
if isTrue.Stalled then
  health.status = "Degraded" -- waits for a person; a sync fails at once
elseif isTrue.Ready and not isTrue.Reconciling then
  health.status = "Healthy"
end
-- Everything else is on its way, also a pipe that waits for a database to come back: it goes on by itself.
return health
