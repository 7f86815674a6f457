package controller

import (
	"context"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
)

// TestEngineOfADeletedSettingIsLetGo: projects come and go, so their Jenkins must not be
// looked at for ever; but it is known long enough to clean up.
func TestEngineOfADeletedSettingIsLetGo(t *testing.T) {
	clock := clocktesting.NewFakeClock(time.Now())
	o := Options{Clock: clock}
	o.setDefaults()
	s := newEngines(o, func(types.NamespacedName) {})
	stopped, cancel := context.WithCancel(t.Context())
	s.byKey["key"] = &running{newEngine(o, nil, "", s.notify, func() {}), cancel}
	s.projects["shop"] = &binding{key: "key"}

	if got := s.leave("shop"); got != Wait(leaveAfter) {
		t.Errorf("leave: %v, want to wait for %s", got, leaveAfter)
	}
	if s.last("shop") == nil || stopped.Err() != nil {
		t.Error("the engine is not known any more at once")
	}
	clock.Step(leaveAfter)
	if got := s.leave("shop"); got != (Done{}) {
		t.Errorf("leave: %v, want to be done", got)
	}
	if s.last("shop") != nil || stopped.Err() == nil || len(s.projects)+len(s.byKey) != 0 {
		t.Errorf("the engine is kept: projects %v, engines %v", s.projects, s.byKey)
	}
	if _, failure := s.of(t.Context(), "shop", nil); failure == nil || len(s.projects) != 0 {
		t.Errorf("of a project without a setting: %v, kept %v", failure, s.projects)
	}
}
