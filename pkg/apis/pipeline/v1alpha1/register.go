package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupName is the API group of every kind in this package.
const GroupName = "kubectl-pipeline.io"

// SchemeGroupVersion is the group and version under which the kinds are served.
var SchemeGroupVersion = schema.GroupVersion{Group: GroupName, Version: "v1alpha1"}

var (
	// SchemeBuilder collects the functions that add this group to a scheme.
	SchemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)
	// AddToScheme adds the kinds of this group to a scheme.
	AddToScheme = SchemeBuilder.AddToScheme
)

// Resource qualifies a plural resource name ("pipelines") with the group.
func Resource(resource string) schema.GroupResource {
	return SchemeGroupVersion.WithResource(resource).GroupResource()
}

func addKnownTypes(s *runtime.Scheme) error {
	s.AddKnownTypes(SchemeGroupVersion,
		&SourceCodeProvider{}, &SourceCodeProviderList{},
		&SourceCodeCredential{}, &SourceCodeCredentialList{},
		&SourceCodeRepository{}, &SourceCodeRepositoryList{},
		&Pipeline{}, &PipelineList{},
		&PipelineExecution{}, &PipelineExecutionList{},
		&PipelineSetting{}, &PipelineSettingList{},
	)
	metav1.AddToGroupVersion(s, SchemeGroupVersion)
	return nil
}
