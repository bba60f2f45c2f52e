package main

import (
	"context"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// question is one SubjectAccessReview; with a path it is about no resource.
type question struct {
	User        string   `json:"user"`
	Groups      []string `json:"groups"`
	Verb        string   `json:"verb"`
	Group       string   `json:"group"`
	Resource    string   `json:"resource"`
	Subresource string   `json:"subresource"`
	Namespace   string   `json:"namespace"`
	Name        string   `json:"name"`
	Path        string   `json:"path"`
}

// ask answers with one character a question: 1 where the server allows it.
func (o *oracle) ask(ctx context.Context, questions []question) (string, error) {
	allowed := make([]byte, len(questions))
	reviews := o.client.AuthorizationV1().SubjectAccessReviews()
	err := inParallel(len(questions), func(at int) error {
		question := &questions[at]
		review := &authorizationv1.SubjectAccessReview{
			Spec: authorizationv1.SubjectAccessReviewSpec{User: question.User, Groups: question.Groups},
		}
		if question.Path != "" {
			review.Spec.NonResourceAttributes = &authorizationv1.NonResourceAttributes{Path: question.Path, Verb: question.Verb}
		} else {
			review.Spec.ResourceAttributes = &authorizationv1.ResourceAttributes{
				Verb: question.Verb, Group: question.Group, Resource: question.Resource, Subresource: question.Subresource,
				Namespace: question.Namespace, Name: question.Name, Version: "*",
			}
		}
		answer, err := reviews.Create(ctx, review, metav1.CreateOptions{})
		if err != nil {
			return err
		}
		allowed[at] = '0'
		if answer.Status.Allowed {
			allowed[at] = '1'
		}
		return nil
	})
	return string(allowed), err
}
