// A client of Latimer in Go: translates, streams, summarizes and reads the details of an error.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	latimerv1 "latimer/v1"
)

func main() {
	address := "localhost:50051"
	if len(os.Args) > 1 {
		address = os.Args[1]
	}
	// For TLS: grpc.WithTransportCredentials(credentials.NewTLS(nil))
	connection, err := grpc.Dial(address, grpc.WithInsecure())
	if err != nil {
		log.Fatal(err)
	}
	defer connection.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if token := os.Getenv("LATIMER_TOKEN"); token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
	}
	translation := latimerv1.NewTranslationServiceClient(connection)
	for _, step := range []func() error{
		func() error { return translate(ctx, translation) },
		func() error { return stream(ctx, translation) },
		func() error { return summarize(ctx, latimerv1.NewSummarizationServiceClient(connection)) },
	} {
		if err := step(); err != nil {
			explain(err)
			os.Exit(1)
		}
	}
	_, err = translation.TranslateText(ctx, &latimerv1.TranslateTextRequest{
		Contents:            []string{"Hello."},
		TargetLanguageCodes: []string{"??"},
	})
	explain(err)
}

func translate(ctx context.Context, client latimerv1.TranslationServiceClient) error {
	response, err := client.TranslateText(ctx, &latimerv1.TranslateTextRequest{
		Contents:            []string{"Good morning.", "The bridge is closed until Monday."},
		SourceLanguageCode:  "en",
		TargetLanguageCodes: []string{"pt"},
	})
	if err != nil {
		return err
	}
	for _, result := range response.Results {
		translation := result.Translations[0]
		if translation.Error != nil { // of this text only
			fmt.Println("error of a text:", translation.Error.Message)
			continue
		}
		fmt.Println("translated:", translation.TranslatedText, translation.Flags)
	}
	return nil
}

func stream(ctx context.Context, client latimerv1.TranslationServiceClient) error {
	call, err := client.StreamTranslateText(ctx)
	if err != nil {
		return err
	}
	// A large input needs a goroutine that sends while this one receives.
	config := &latimerv1.StreamTranslateTextConfig{
		SourceLanguageCode: "en", TargetLanguageCodes: []string{"pt"}, Ordered: true,
	}
	items := []*latimerv1.StreamItem{{ItemId: "0", Content: "One."}, {ItemId: "1", Content: "Two."}}
	if err := call.Send(&latimerv1.StreamTranslateTextRequest{Config: config, Items: items}); err != nil && err != io.EOF {
		return err
	}
	if err := call.CloseSend(); err != nil {
		return err
	}
	for {
		response, err := call.Recv()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		for _, result := range response.Results {
			fmt.Printf("streamed %s: %s\n", result.ItemId, result.Result.Translations[0].TranslatedText)
		}
	}
}

func summarize(ctx context.Context, client latimerv1.SummarizationServiceClient) error {
	response, err := client.SummarizeText(ctx, &latimerv1.SummarizeTextRequest{
		Contents:    []string{"The old bridge is closed. It opens in May. The town council decided so on Monday."},
		Mode:        latimerv1.SummaryMode_SUMMARY_MODE_EXTRACTIVE,
		LengthLimit: &latimerv1.SummarizeTextRequest_SentenceCount{SentenceCount: 1},
	})
	if err != nil {
		return err
	}
	fmt.Println("summarized:", response.Summaries[0].SummaryText)
	return nil
}

// explain prints an error with its details: the reason, the fields that are wrong, and when to try again.
func explain(err error) {
	found := status.Convert(err)
	fmt.Println("error:", found.Code(), found.Message())
	for _, detail := range found.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			fmt.Println("reason:", detail.Reason)
		case *errdetails.BadRequest:
			for _, violation := range detail.FieldViolations {
				fmt.Println("violation:", violation.Field, violation.Description)
			}
		case *errdetails.RetryInfo:
			fmt.Println("try again after:", detail.RetryDelay.AsDuration())
		}
	}
}
